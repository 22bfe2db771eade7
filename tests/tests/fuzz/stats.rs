//! What an instance counts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use lab::Agent;
use serde_json::Value;

/// Counters by their path in `stats --json`, such as `ports.c0.rx_packets`.
#[derive(Clone, Debug, Default)]
pub struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// What a running agent has counted. It must be the one that was started, and have said nothing
    /// of a panic.
    pub fn of(agent: &Agent) -> Result<Self> {
        Self::counted(agent, Some(agent.pid()))
    }

    /// What was counted, also by an agent that was killed.
    pub fn left_by(agent: &Agent) -> Result<Self> {
        Self::counted(agent, None)
    }

    fn counted(agent: &Agent, expected: Option<u32>) -> Result<Self> {
        let said = agent.cli_ok(&["stats", "--json"])?;
        let json: Value = serde_json::from_str(&said).context("read what `stats` says")?;
        let pid = json["agent"]["pid"].as_u64();
        let log = agent.stderr();
        ensure!(
            pid == expected.map(u64::from) && !log.contains("panicked"),
            "the agent is {pid:?} now, not {expected:?}; it said:\n{log}"
        );
        let mut stats = Self::default();
        stats.collect("", &json);
        Ok(stats)
    }

    fn collect(&mut self, name: &str, value: &Value) {
        if let Some(number) = value.as_u64() {
            self.0.insert(name.to_owned(), number);
        }
        for (field, value) in value.as_object().into_iter().flatten() {
            let dot = if name.is_empty() { "" } else { "." };
            self.collect(&format!("{name}{dot}{field}"), value);
        }
    }

    /// What was counted since `before`, of all counters that there are.
    pub fn since(&self, before: &Self) -> Self {
        let moved = |(name, now): (&String, &u64)| {
            let was = before.0.get(name).copied().unwrap_or(0);
            (name.clone(), now.saturating_sub(was))
        };
        Self(self.0.iter().map(moved).collect())
    }

    /// One of them; what is not there has counted nothing.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Checks that each of these has counted something: what was thrown came as far as that.
    pub fn have(&self, names: &[&str]) -> Result<()> {
        let missing: Vec<_> = names.iter().filter(|name| self.get(name) == 0).collect();
        ensure!(
            missing.is_empty(),
            "nothing came as far as {missing:?}; {self}"
        );
        Ok(())
    }

    /// All reasons for drops together. What becomes of frames once they are redirected is left out: a
    /// test run redirects nothing, but somebody else's frames on this CPU may be taken for its own.
    /// So is what the agent could not send.
    pub fn drops(&self) -> u64 {
        const LATER: [&str; 3] = ["egress-full", "egress-refused", "undelivered"];
        let reasons = self.0.iter().filter_map(|(name, moved)| {
            let reason = name.strip_prefix("drops.")?;
            (!LATER.contains(&reason)).then_some(*moved)
        });
        reasons.sum()
    }
}

impl std::fmt::Display for Stats {
    /// Those that moved.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, moved) in self.0.iter().filter(|(_, moved)| **moved != 0) {
            write!(f, "{name} +{moved} ")?;
        }
        Ok(())
    }
}
