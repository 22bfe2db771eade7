//! Changing an interface into a port, and back.
//!
//! [`plan`] writes down what [`apply`] is about to change, so that a caller can keep the note in a
//! file *before* anything changes and a killed agent's changes can still be put back. Both applying
//! and restoring may be repeated.

use serde::{Deserialize, Serialize};

use super::{Port, Problem, Warning, check::inspect, features_to_turn_off, restore};
use crate::net::{
    ethtool::{self, EthtoolError},
    link::{self, Link, LinkError},
};

/// What was changed on a port, and thus is to be put back: how it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Interface index in its network namespace.
    pub ifindex: u32,
    /// The name it had.
    pub name: String,
    /// Its MAC address, which it keeps when it is renamed.
    pub mac: [u8; 6],
    /// It was up already.
    pub was_up: bool,
    /// The promiscuous flag was set by the switch.
    pub promiscuous_set: bool,
    /// Features that were changed, and what had been asked of them before.
    pub features: Vec<(String, bool)>,
}

impl Changes {
    /// Nothing to put back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.was_up && !self.promiscuous_set && self.features.is_empty()
    }

    /// Adds what an earlier run had changed on the same port and not put back: that run's note of
    /// how things were is the older, so it holds. A note about another port is ignored.
    pub fn adopt(&mut self, earlier: &Self) {
        if !earlier.is_about(self.ifindex, &self.name, self.mac) {
            return;
        }
        self.was_up &= earlier.was_up;
        self.promiscuous_set |= earlier.promiscuous_set;
        self.features
            .retain(|(name, _)| earlier.features.iter().all(|(older, _)| older != name));
        self.features.extend_from_slice(&earlier.features);
    }

    /// A name may change, and an index may mean another link in another namespace: index and either
    /// of name and MAC must be the same.
    pub(super) fn is_about(&self, index: u32, name: &str, mac: [u8; 6]) -> bool {
        self.ifindex == index && (self.name == name || self.mac == mac)
    }
}

/// A port that is ready.
#[derive(Debug)]
pub struct PreparedPort {
    /// The link as it is now.
    pub link: Link,
    /// What was changed.
    pub changes: Changes,
    /// What is not ideal about it.
    pub warnings: Vec<Warning>,
}

/// Why a port could not be made ready or put back.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// [`super::check`] finds it unusable. Nothing was changed.
    #[error("{}", list(problems))]
    Unusable {
        /// Why; at least one.
        problems: Vec<Problem>,
    },
    /// A link's state could not be read or changed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A feature could not be read or changed.
    #[error(transparent)]
    Feature(#[from] EthtoolError),
}

fn list(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; and ")
}

/// Checks `port` and makes it ready. If that fails halfway, what was done is undone.
///
/// # Errors
/// What [`super::check`] finds, or what failed and on which port.
pub fn prepare(port: &Port, own_programs: &[u32]) -> Result<PreparedPort, PortError> {
    let (link, report) = inspect(port, own_programs);
    let (Some(link), true) = (link, report.usable()) else {
        return Err(PortError::Unusable {
            problems: report.problems,
        });
    };
    let changes = plan(&link)?;
    let link = apply(&changes).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = restore(&changes);
    })?;
    Ok(PreparedPort {
        link,
        changes,
        warnings: report.warnings,
    })
}

/// What has to be changed to make a port of `link`. Changes nothing.
///
/// # Errors
/// That its features cannot be read.
pub fn plan(link: &Link) -> Result<Changes, PortError> {
    Ok(Changes {
        ifindex: link.index,
        name: link.name.clone(),
        mac: link.mac,
        was_up: link.up,
        promiscuous_set: !link.promiscuous,
        features: features_to_turn_off(link)?
            .into_iter()
            .filter(|feature| !feature.settled(false))
            .map(|feature| (feature.name, feature.requested))
            .collect(),
    })
}

/// Makes a port ready as [`plan`] found necessary; answers the link as it is then.
///
/// # Errors
/// What failed and on which port. What was done until then stays: [`restore`] undoes it.
pub fn apply(changes: &Changes) -> Result<Link, PortError> {
    let link = link::by_index(changes.ifindex)?;
    // Before it is up, so that no frame comes in with its tag taken off.
    let off: Vec<(&str, bool)> = changes
        .features
        .iter()
        .map(|(name, _)| (name.as_str(), false))
        .collect();
    ethtool::set_features(&link.name, &off)?;
    if changes.promiscuous_set {
        link::set_promiscuous(&link, true)?;
    }
    if !changes.was_up {
        link::set_up(&link, true)?;
    }
    Ok(link::by_index(link.index)?)
}
