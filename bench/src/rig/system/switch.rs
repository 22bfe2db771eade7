//! The switch itself: the real agent with the real program.

use std::time::Duration;

use anyhow::Result;
use lab::{Agent, Namespace};
use switch_ebpf::abi::DEFAULT_MAX_FLOWS;

use crate::rig::{Family, PORTS, VLAN, populate};

/// A start on a full table takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// The name of the site that all VMs are at.
const SITE: &str = "dc1";

/// A running switch with bindings in its table.
pub struct Switch {
    /// Its agent.
    pub agent: Agent,
}

impl Switch {
    /// Starts it, and binds the VMs below a number by their addresses of these families.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(namespace: &Namespace, bound: &[Family], vms: u32) -> Result<Self> {
        let [client, trunk] = PORTS;
        let site = format!("{SITE}={trunk}:{VLAN}");
        let flows = (vms * bound.len() as u32)
            .max(DEFAULT_MAX_FLOWS)
            .to_string();
        let run = [
            "run",
            "--client",
            client,
            "--site",
            &site,
            "--max-flows",
            &flows,
        ];
        let mut agent = Agent::start(namespace, &run)?;
        agent.wait_ready(PATIENCE)?;
        agent.kill9()?;
        for family in bound {
            populate(agent.instance(), &[SITE], vms, *family)?;
        }
        let mut agent = agent.restart(&run)?;
        agent.wait_ready(PATIENCE)?;
        Ok(Self { agent })
    }
}
