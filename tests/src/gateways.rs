//! A real gateway in each data centre.

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Lab, agent::Running};

/// Every node on the client's side. Learning packets go no further than the switch.
const ANNOUNCE_TO: [&str; 4] = ["--announce-to", "224.0.0.1", "--announce-to", "ff02::1"];

/// The gateways of all data centres, in their order.
#[derive(Debug)]
pub struct Gateways {
    /// Each of them.
    pub running: Vec<Running>,
    /// Where they number their learning packets.
    state: TempDir,
}

impl Gateways {
    /// Has a real gateway take the place of the stand-in in each data centre there is.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn start(lab: &Lab) -> Result<Self> {
        let state = tempfile::tempdir().context("make a directory for the gateways' state")?;
        let mut running = Vec::new();
        for (index, dc) in lab.dc.iter().enumerate() {
            lab.open_gateway(index)?;
            let trunk = format!("up:{}", dc.tag.vid);
            let state = state.path().join(format!("dc{}", index + 1));
            let state = state.to_str().context("a path that is not UTF-8")?;
            let ports = ["gateway", "--lan", "lan", "--trunk", &trunk];
            let state = ["--state-dir", state];
            let arguments = ports.into_iter().chain(state).chain(ANNOUNCE_TO);
            running.push(Running::start(&dc.ns, arguments)?);
        }
        Ok(Self { running, state })
    }

    /// Kills one with no chance to clean up.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub fn kill9(&mut self, index: usize) -> Result<()> {
        let gateway = self
            .running
            .get_mut(index)
            .context("there is no such gateway")?;
        gateway.agent.kill9()
    }

    /// Starts all of them again on what they have left; one that runs is killed.
    ///
    /// # Errors
    /// As [`Gateways::start`].
    pub fn kill_and_restart(self) -> Result<Self> {
        let running = self.running.into_iter().map(Running::kill_and_restart);
        Ok(Self {
            running: running.collect::<Result<_>>()?,
            state: self.state,
        })
    }
}
