//! The switch between raw frames at both its ends.

use std::net::IpAddr;

use anyhow::{Context, Result};
pub use lab::traffic::numbered::{Pace, SINK_IPV4, SINK_IPV6, SINK_MAC, Sender, Vms};
use lab::{Agent, Capture, Lab, poll_until};

use crate::{LATER, RUN, SOON, run};

/// The figure with the switch, and raw frames instead of hosts at both its ends.
pub struct Bench {
    // First: it cleans up, and the lab's ports must still be there then.
    pub agent: Agent,
    pub lab: Lab,
    pub vms: Vms,
    pub client: Capture,
}

impl Bench {
    /// Starts the switch with `options` more than the figure's.
    pub fn start(options: &[&str]) -> Result<Self> {
        let lab = Lab::fig1()?;
        let agent = run(&lab.switch, &[&RUN, options].concat())?;
        Ok(Self {
            vms: Vms::new(&lab.wan, "pt0")?,
            client: Capture::start(&lab.client.ns, "pc0")?,
            lab,
            agent,
        })
    }

    /// Has a VM send a frame from a VLAN, and waits until the client has it.
    pub fn speak(&mut self, address: IpAddr, vlan: u16) -> Result<()> {
        let before = self.client.received();
        self.vms.send(Pace::Flood, 1, &[(address, vlan)])?;
        let way = || format!("a frame of {address} from VLAN {vlan}");
        self.client.wait_for(before + 1, SOON).with_context(way)
    }

    /// Waits until all frames have arrived, and then until one does without the agent.
    pub fn settle(&mut self) -> Result<()> {
        self.client.wait_for(self.vms.sent(), LATER)?;
        let sender = self.vms.last().context("nothing was sent")?;
        let mut misses = self.agent.stats()?.get("misses");
        poll_until(SOON, "the datapath to forward by itself", || {
            let mut step = || {
                self.vms.send(Pace::Flood, 1, &[sender])?;
                self.client.wait_for(self.vms.sent(), SOON)?;
                let before = misses;
                misses = self.agent.stats()?.get("misses");
                anyhow::Ok(misses == before)
            };
            match step() {
                Ok(settled) => settled.then_some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        })?
    }

    /// Where the switch believes an address to be.
    pub fn site(&self, address: IpAddr) -> Result<Option<String>> {
        let flow = self.agent.flow(&address.to_string())?;
        Ok(flow.and_then(|flow| flow["site"].as_str().map(str::to_owned)))
    }

    /// Waits until the switch believes an address to be at a site.
    pub fn wait_site(&self, address: IpAddr, site: &str) -> Result<()> {
        poll_until(SOON, &format!("{address} to be at {site}"), || {
            (self.site(address).ok()?.as_deref() == Some(site)).then_some(())
        })
    }
}
