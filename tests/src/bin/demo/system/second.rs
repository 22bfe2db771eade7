//! The second embodiment (Fig. 5 and 6): the switch, and a gateway at each data centre.

use std::time::Duration;

use anyhow::Result;
use lab::{Agent, Gateways, Lab, Vm, agent::Running};

use super::{SWITCH, System};
use crate::traffic::Guest;

/// The switch and the gateways.
pub struct Second {
    switch: Running,
    gateways: Gateways,
}

impl System for Second {
    const NAME: &'static str = "second";
    const TITLE: &'static str = "Second embodiment";
    const FIGURES: &'static str = "Fig. 5 and 6";
    const GUEST: Guest = Guest::Idle;
    // A gateway repeats its learning packet for 0.8 s, and the switch takes none back for 1 s.
    const STAY: Duration = Duration::from_millis(1200);

    fn start(lab: &Lab, _vm: &Vm) -> Result<Self> {
        Ok(Self {
            switch: Running::start(&lab.switch, SWITCH)?,
            gateways: Gateways::start(lab)?,
        })
    }

    fn switch(&self) -> &Agent {
        &self.switch.agent
    }

    fn restart(self) -> Result<Self> {
        Ok(Self {
            switch: self.switch.kill_and_restart()?,
            gateways: self.gateways.kill_and_restart()?,
        })
    }
}
