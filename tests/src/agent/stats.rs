//! The counters, as `stats --json` shows them.

use std::str::FromStr;

use anyhow::{Context, Result};
use serde_json::Value;

/// The counters at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats(Value);

impl FromStr for Stats {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let value = serde_json::from_str(text);
        value
            .map(Self)
            .with_context(|| format!("read counters from {text}"))
    }
}

impl Stats {
    /// A counter by its path, such as `ports/c0/tx_packets`.
    ///
    /// # Panics
    /// When there is none: its name is an interface.
    #[must_use]
    pub fn get(&self, path: &str) -> u64 {
        let value = self.0.pointer(&format!("/{path}")).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("there is no counter {path} in {}", self.0))
    }

    /// Whether an agent runs, and which process it is.
    ///
    /// # Panics
    /// When there is no such entry: its name is an interface.
    #[must_use]
    pub fn agent(&self) -> (bool, Option<u32>) {
        let Value::Object(agent) = &self.0["agent"] else {
            panic!("there is no agent in {}", self.0);
        };
        let pid = agent["pid"].as_u64().and_then(|pid| pid.try_into().ok());
        (agent["running"] == true, pid)
    }

    /// What was dropped, by reason, without the reasons that were none.
    #[must_use]
    pub fn drops(&self) -> Vec<(&str, u64)> {
        let drops = self.0["drops"].as_object().into_iter().flatten();
        let counted = drops.map(|(reason, count)| (reason.as_str(), count.as_u64().unwrap_or(0)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// What went wrong inside the switch: frames dropped, lost on their way to the agent, or
    /// forwarded out of order; what was learned and nobody told. Empty is how it should be.
    #[must_use]
    pub fn faults(&self) -> Vec<(&str, u64)> {
        let mut faults = self.drops();
        for counter in ["misses_lost", "records_lost", "handover_overtaken"] {
            if self.get(counter) > 0 {
                faults.push((counter, self.get(counter)));
            }
        }
        faults
    }
}
