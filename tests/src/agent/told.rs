//! What a switch tells of itself, as its command line does in JSON.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Agent, Stats};

impl Agent {
    /// The counters.
    ///
    /// # Errors
    /// When there are none, neither of the agent nor pinned.
    pub fn stats(&self) -> Result<Stats> {
        self.cli_ok(&["stats", "--json"])?.parse()
    }

    /// The flow table.
    ///
    /// # Errors
    /// As [`Agent::stats`].
    pub fn flows(&self) -> Result<Vec<Value>> {
        let text = self.cli_ok(&["flows", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("read the flow table from {text}"))
    }

    /// The flow of an address, if there is one.
    ///
    /// # Errors
    /// As [`Agent::stats`].
    pub fn flow(&self, address: &str) -> Result<Option<Value>> {
        let flows = self.flows()?;
        Ok(flows.into_iter().find(|flow| flow["address"] == address))
    }

    /// What happened, the oldest first.
    ///
    /// # Errors
    /// When the agent does not run.
    pub fn events(&self) -> Result<Vec<Value>> {
        let text = self.cli_ok(&["events", "--json"])?;
        let event = |line: &str| {
            serde_json::from_str(line).with_context(|| format!("read an event from {line}"))
        };
        text.lines().map(event).collect()
    }
}
