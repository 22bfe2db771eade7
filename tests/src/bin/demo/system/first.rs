//! The first embodiment (Fig. 1 to 4): the switch, and nothing else.

use std::time::Duration;

use anyhow::Result;
use lab::{Agent, Lab, Vm, agent::Running};

use super::{SWITCH, System};
use crate::traffic::Guest;

/// The VM returns faster than an operator would have it, so it may do so after a moment.
const HOLD_DOWN: [&str; 2] = ["--hold-down", "300ms"];

/// The switch.
pub struct First(Running);

impl System for First {
    const NAME: &'static str = "first";
    const TITLE: &'static str = "First embodiment";
    const FIGURES: &'static str = "Fig. 1 to 4";
    const GUEST: Guest = Guest::Busy;
    const STAY: Duration = Duration::from_millis(500);

    fn start(lab: &Lab, _vm: &Vm) -> Result<Self> {
        let arguments = SWITCH.into_iter().chain(HOLD_DOWN);
        Running::start(&lab.switch, arguments).map(Self)
    }

    fn switch(&self) -> &Agent {
        &self.0.agent
    }

    fn restart(self) -> Result<Self> {
        self.0.kill_and_restart().map(Self)
    }
}
