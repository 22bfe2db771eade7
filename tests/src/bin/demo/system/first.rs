//! The first embodiment (Fig. 1 to 4): the switch, and nothing else.

use std::time::Duration;

use anyhow::Result;
use lab::{Agent, Lab};

use super::System;

/// How long the agent may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the agent is told. The VM moves back and forth faster than an operator would have it, so
/// the guards against that are loosened: it may return after a moment, as often as it likes.
const RUN: [&str; 13] = [
    "run",
    "--client",
    "c0",
    "--site",
    "dc1=t0:1",
    "--site",
    "dc2=t0:2",
    "--hold-down",
    "300ms",
    "--hold-down-announce",
    "300ms",
    "--quarantine-moves",
    "1000",
];

/// The switch.
pub struct First {
    agent: Agent,
}

impl System for First {
    const NAME: &'static str = "first";
    const TRIGGER: &'static str = "the VM's first packet";
    const OPERATOR_INPUTS: u32 = 0;

    fn start(lab: &Lab) -> Result<Self> {
        let mut agent = Agent::start(&lab.switch, &RUN)?;
        agent.wait_ready(PATIENCE)?;
        Ok(Self { agent })
    }

    fn switch(&self) -> &Agent {
        &self.agent
    }

    fn restart(mut self) -> Result<Self> {
        self.agent.kill9()?;
        let mut agent = self.agent.restart(&RUN)?;
        agent.wait_ready(PATIENCE)?;
        Ok(Self { agent })
    }
}
