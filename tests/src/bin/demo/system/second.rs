//! The second embodiment (Fig. 5 and 6): the switch, and a gateway at each data centre.

use std::time::Duration;

use anyhow::{Context, Result};
use lab::{Agent, Lab, Vm, agent::Running};
use tempfile::TempDir;

use super::{SWITCH, System};
use crate::traffic::Guest;

/// Every node on the client's side. Learning packets go no further than the switch.
const ANNOUNCE_TO: &str = "224.0.0.1";

/// The switch and the gateways.
pub struct Second {
    switch: Running,
    gateways: Vec<Running>,
    /// Where the gateways number their learning packets.
    state: TempDir,
}

impl System for Second {
    const NAME: &'static str = "second";
    const TITLE: &'static str = "Second embodiment";
    const FIGURES: &'static str = "Fig. 5 and 6";
    const GUEST: Guest = Guest::Idle;
    // A gateway repeats its learning packet for 0.8 s, and the switch takes none back for 1 s.
    const STAY: Duration = Duration::from_millis(1200);

    fn start(lab: &Lab, _vm: &Vm) -> Result<Self> {
        let switch = Running::start(&lab.switch, SWITCH)?;
        let state = tempfile::tempdir().context("make a directory for the gateways' state")?;
        let mut gateways = Vec::new();
        for (index, dc) in lab.dc.iter().enumerate() {
            lab.open_gateway(index)?;
            let trunk = format!("up:{}", dc.tag.vid);
            let state = state.path().join(format!("dc{}", index + 1));
            let arguments = [
                "gateway",
                "--lan",
                "lan",
                "--trunk",
                &trunk,
                "--announce-to",
                ANNOUNCE_TO,
                "--state-dir",
                state.to_str().context("a path that is not UTF-8")?,
            ];
            gateways.push(Running::start(&dc.ns, arguments)?);
        }
        Ok(Self {
            switch,
            gateways,
            state,
        })
    }

    fn switch(&self) -> &Agent {
        &self.switch.agent
    }

    fn restart(self) -> Result<Self> {
        let gateways = self.gateways.into_iter().map(Running::kill_and_restart);
        Ok(Self {
            switch: self.switch.kill_and_restart()?,
            gateways: gateways.collect::<Result<_>>()?,
            state: self.state,
        })
    }
}
