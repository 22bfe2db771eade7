//! The switch itself: the real agent with the real program.

use std::time::{Duration, Instant};

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
        let (agent, _) = start_on(namespace, &run, |instance| {
            for family in bound {
                populate(instance, &[SITE], vms, *family)?;
            }
            Ok(())
        })?;
        Ok(Self { agent })
    }
}

/// Starts an agent on what `bind` writes into the maps of an instance, and says how long that took. An
/// agent makes those maps, and is killed before: nobody else may write while one runs.
///
/// # Errors
/// It does not start, or as `bind`.
pub fn start_on(
    namespace: &Namespace,
    arguments: &[&str],
    bind: impl FnOnce(&str) -> Result<()>,
) -> Result<(Agent, Duration)> {
    let mut agent = Agent::start(namespace, arguments)?;
    agent.wait_ready(PATIENCE)?;
    agent.kill9()?;
    bind(agent.instance())?;
    restart(agent, arguments)
}

/// Starts an agent on what a killed one has left, and says how long that took.
///
/// # Errors
/// It does not start.
pub fn restart(killed: Agent, arguments: &[&str]) -> Result<(Agent, Duration)> {
    let started = Instant::now();
    let mut agent = killed.restart(arguments)?;
    agent.wait_ready(PATIENCE)?;
    Ok((agent, started.elapsed()))
}
