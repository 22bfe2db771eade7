//! A switch with two sites on one trunk, VMs that speak at them, and somebody who notes what arrives.

mod load;
mod stamps;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use lab::{Agent, fig1::RUN};
use switch_agent::{
    datapath::{Names, Pins, Tables},
    types::InstanceName,
};
use switch_ebpf::abi::{Binding, BindingKey, traffic};

pub use load::{Load, capacity};
pub use stamps::{Burst, Stamps};

use crate::rig::{
    Cables, Family, populate,
    system::{restart, start_on},
    vm,
};

/// The site that VMs begin at.
pub const FROM: &str = "dc1";
/// The site that they move to.
pub const TO: &str = "dc2";
/// The VLAN of the site that they move from.
pub const FROM_VLAN: u16 = 1;
/// The VLAN of the site that they move to.
pub const TO_VLAN: u16 = 2;

/// The switch, and its surroundings.
pub struct Stage {
    // Set up last and taken down first: a veth whose other end has a program cannot be given back all
    // the offloads that the switch found at its port.
    /// Frames at its far ends.
    pub stamps: Stamps,
    // Before the cables: it cleans up, and the ports must still be there then.
    agent: Agent,
    /// Its maps.
    pub tables: Tables,
    /// What it is plugged into.
    pub cables: Cables,
    /// How long the agent took to be ready for what is in the table.
    pub start: Duration,
    network: u32,
    /// The VLANs and ids of the two sites.
    sites: [(u16, u32); 2],
    arguments: Vec<String>,
}

impl Stage {
    /// Starts a switch with these options and room for so many bindings, of which the first `bound` VMs
    /// have one each, at [`FROM`].
    ///
    /// # Errors
    /// When something of it does not start.
    pub fn start(options: &[&str], room: u32, bound: u32) -> Result<Self> {
        let cables = Cables::lay()?;
        let room = room.to_string();
        let arguments = [&RUN, options, &["--max-flows", &room]].concat();
        let (agent, start) = start_on(&cables.switch, &arguments, |instance| {
            populate(instance, &[FROM], bound, Family::V4)
        })?;

        let instance: InstanceName = agent.instance().parse()?;
        let tables = Tables::open(&Pins::of(&instance))?;
        let names = Names::read(&tables)?;
        let (network, _) = names.networks.first_key_value().context("no network")?;
        let id = |site| {
            let mut sites = names.sites.iter();
            let found = sites.find(|(_, (_, name, _))| name == site);
            found.map(|(id, _)| *id).context("a site has no id")
        };
        let mut stamps = Stamps::new(&cables)?;
        stamps.listen()?;
        Ok(Self {
            network: *network,
            sites: [(FROM_VLAN, id(FROM)?), (TO_VLAN, id(TO)?)],
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            agent,
            tables,
            stamps,
            cables,
            start,
        })
    }

    /// Kills the agent, and starts it again on what it has left.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(self) -> Result<Self> {
        let mut agent = self.agent;
        agent.kill9()?;
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let (agent, start) = restart(agent, &arguments)?;
        Ok(Self {
            agent,
            start,
            ..self
        })
    }

    /// The agent.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The pin of one of its maps.
    ///
    /// # Errors
    /// Never: the instance's name is one.
    pub fn pin(&self, map: &str) -> Result<PathBuf> {
        let instance: InstanceName = self.agent.instance().parse()?;
        Ok(Pins::of(&instance).map(map))
    }

    /// Where a VM is bound.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn binding(&self, number: u32) -> Result<Option<Binding>> {
        let key = BindingKey {
            network: self.network,
            address: vm::address(Family::V4, number).into(),
        };
        Ok(self.tables.binding(&key)?)
    }

    /// How many frames have come in from the sites.
    ///
    /// # Errors
    /// As [`Stage::binding`].
    pub fn entered(&self) -> Result<u64> {
        Ok(self.entered_from(FROM_VLAN)? + self.entered_from(TO_VLAN)?)
    }

    /// How many frames have come in from the site with this VLAN.
    ///
    /// # Errors
    /// As [`Stage::binding`].
    pub fn entered_from(&self, vlan: u16) -> Result<u64> {
        let site = self.sites.iter().find(|(site, _)| *site == vlan);
        let (_, id) = site.with_context(|| format!("no site has VLAN {vlan}"))?;
        Ok(self.tables.traffic(traffic::site(*id))?.rx_packets)
    }

    /// Whether a binding is that of the site with this VLAN.
    pub fn is_at(&self, binding: &Binding, vlan: u16) -> bool {
        self.sites.contains(&(vlan, binding.site))
    }
}

/// Asks again and again until there is an answer: for what takes microseconds.
///
/// # Errors
/// Says that `what` did not happen, once `timeout` is over; or as `ask`.
pub fn spin_until<T>(
    timeout: Duration,
    what: impl Fn() -> String,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if started.elapsed() >= timeout {
            bail!("waited {timeout:?} in vain for: {}", what());
        }
        // Whoever has to do it may need this CPU.
        std::thread::yield_now();
    }
}
