//! An agent that can be killed and started again as it was.

use std::time::Duration;

use anyhow::Result;

use crate::{Agent, Namespace};

/// How long an agent may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent that is ready, and what it was told.
#[derive(Debug)]
pub struct Running {
    /// The agent.
    pub agent: Agent,
    arguments: Vec<String>,
}

impl Running {
    /// Starts an agent, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    pub fn start<'a>(ns: &Namespace, arguments: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        let agent = Agent::start(ns, &borrowed(&arguments))?;
        Self { agent, arguments }.ready()
    }

    /// Kills it with no chance to clean up, and starts it again on what it has left.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub fn kill_and_restart(self) -> Result<Self> {
        let Self {
            mut agent,
            arguments,
        } = self;
        agent.kill9()?;
        let agent = agent.restart(&borrowed(&arguments))?;
        Self { agent, arguments }.ready()
    }

    fn ready(mut self) -> Result<Self> {
        self.agent.wait_ready(PATIENCE)?;
        Ok(self)
    }
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
