//! Putting back what was changed on a port.

use std::fmt;

use super::{Changes, PortError};
use crate::net::{
    ethtool::{self, onoff},
    link,
};

/// How putting back went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// All is as it was.
    Done,
    /// All but features that nobody may change now.
    Except(Kept),
    /// The port is gone, or another has its place: there is nothing to put back.
    Gone,
}

/// Features that were changed on a port and cannot be changed back now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The port.
    port: String,
    /// It is one end of a veth pair.
    veth: bool,
    /// The features, and what had been asked of them.
    features: Vec<(String, bool)>,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, features, .. } = self;
        // `veth_xdp_set` takes the other end's right to change these (NETIF_F_GSO_SOFTWARE).
        let (why, until) = match self.veth {
            true => (
                "an XDP program at the other end of its veth pair",
                "has left",
            ),
            false => ("its driver", "lets them"),
        };
        let names: Vec<_> = features.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        write!(
            f,
            "port {port} is put back but for {names}, which the switch had turned off: {why} does not \
             let them be changed now; once it {until}, run `ethtool -K {port}"
        )?;
        for (name, on) in features {
            write!(f, " {name} {}", onoff(*on))?;
        }
        write!(f, "`")
    }
}

/// Puts back exactly what `changes` says was changed, under whatever name the port now has.
///
/// # Errors
/// The first thing that failed; the rest was put back all the same.
pub fn restore(changes: &Changes) -> Result<Restored, PortError> {
    let link = match link::by_index(changes.ifindex) {
        Ok(link) if changes.is_about(link.index, &link.name, link.mac) => link,
        Ok(_) => return Ok(Restored::Gone),
        Err(e) if e.is_gone() => return Ok(Restored::Gone),
        Err(e) => return Err(e.into()),
    };
    let features: Vec<(&str, bool)> = changes
        .features
        .iter()
        .map(|(name, old)| (name.as_str(), *old))
        .collect();
    let kept = ethtool::request_features(&link.name, &features);
    let promiscuous = match changes.promiscuous_set {
        true => link::set_promiscuous(&link, false),
        false => Ok(()),
    };
    let up = match changes.was_up {
        true => Ok(()),
        false => link::set_up(&link, false),
    };
    let done = promiscuous.and(up).map_err(PortError::from);
    match kept
        .map_err(PortError::from)
        .and_then(|kept| done.map(|()| kept))
    {
        Ok(kept) if kept.is_empty() => Ok(Restored::Done),
        Ok(kept) => Ok(Restored::Except(Kept {
            veth: link.is_veth(),
            port: link.name,
            features: changes
                .features
                .iter()
                .filter(|(name, _)| kept.contains(name))
                .cloned()
                .collect(),
        })),
        // It went in the middle of it.
        Err(_) if link::by_index(link.index).is_err_and(|e| e.is_gone()) => Ok(Restored::Gone),
        Err(e) => Err(e),
    }
}
