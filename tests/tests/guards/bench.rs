//! A switch with three sites on two trunks, between raw frames.

use std::{collections::HashSet, net::IpAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, AttachedProgram, Capture, Lab, Tag, Verdict,
    frame::{self, tagged},
    poll_until,
    traffic::numbered::{Pace, SINK_MAC, Vms},
};
use serde_json::Value;
use switch_agent::datapath::{Pins, Tables};
use switch_ebpf::{abi::PHASE_SETTLED, frame::Address};

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(10);
/// Long enough for a lot of traffic on a busy machine.
pub const LATER: Duration = Duration::from_secs(60);
/// So long that no test outlasts it.
pub const FOR_EVER: &str = "1h";
/// The reason of events that the returning agent tells.
pub const IN_DATAPATH: &str = "learned in the datapath";

/// The VLANs of DC 1 and DC 2 on the trunk `t0`, and of DC 3 on the trunk `t1`.
pub const DC1: u16 = 1;
pub const DC2: u16 = 2;
pub const DC3: u16 = 3;

const RUN: [&str; 9] = [
    "run", "--client", "c0", "--site", "dc1=t0:1", "--site", "dc2=t0:2", "--site", "dc3=t1:3",
];
/// An address that only [`Bench::wait_alone`] uses.
const SCOUT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 9, 9));

/// A switch, and raw frames at its ends.
pub struct Bench {
    // First: it cleans up, and the lab's ports must still be there then.
    pub agent: Agent,
    pub lab: Lab,
    /// Whoever speaks at the trunk `t0`.
    pub vms: Vms,
    pub client: Capture,
    options: Vec<String>,
}

impl Bench {
    /// Starts the switch with these options more.
    pub fn start(options: &[&str]) -> Result<Self> {
        let lab = Lab::fig1()?;
        lab.add_trunk("t1")?;
        let mut agent = Agent::start(&lab.switch, &[&RUN, options].concat())?;
        agent.wait_ready(SOON)?;
        Ok(Self {
            vms: Vms::new(&lab.wan, "pt0")?,
            client: Capture::start(&lab.client.ns, "pc0")?,
            lab,
            agent,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        })
    }

    /// Has an operator bind addresses to DC 1, and waits until their handovers are over. No frame of
    /// theirs is a miss.
    pub fn bind(&self, addresses: &[IpAddr]) -> Result<()> {
        for address in addresses {
            let address = address.to_string();
            self.agent.cli_ok(&["bind", &address, "--site", "dc1"])?;
        }
        self.wait_settled(addresses)
    }

    /// Waits until the handovers of these addresses are over. The program forwards what they send by
    /// itself some time before that, but leaves their moves to the agent until then.
    pub fn wait_settled(&self, addresses: &[IpAddr]) -> Result<()> {
        let tables = Tables::open(&Pins::of(&self.agent.instance().parse()?))?;
        let wanted: HashSet<_> = addresses.iter().map(|ip| Address::from(*ip)).collect();
        let settled = || -> Result<_> {
            let bindings = tables.bindings().collect::<Result<Vec<_>, _>>()?;
            let settled = bindings.iter().filter(|(key, binding)| {
                binding.phase == PHASE_SETTLED && wanted.contains(&key.address)
            });
            Ok((settled.count() == wanted.len()).then_some(()))
        };
        let what = format!("the handovers of {} addresses", wanted.len());
        poll_until(SOON, &what, || settled().transpose())?
    }

    /// Waits until the program forwards by itself what an address sends from a site.
    pub fn wait_forwarded(&self, address: IpAddr, vlan: u16) -> Result<()> {
        let what = format!("the program to forward what {address} sends from VLAN {vlan}");
        let program = self.program(vlan)?;
        poll_until(SOON, &what, || {
            match program.run(probe(address, vlan).as_slice()) {
                Ok(output) => (output.verdict == Verdict::Redirect).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        })?
    }

    /// The program of the port that a site is at.
    pub fn program(&self, vlan: u16) -> Result<AttachedProgram> {
        AttachedProgram::of(&self.lab.switch, if vlan == DC3 { "t1" } else { "t0" })
    }

    /// Kills the agent and waits until the datapath has noticed: it moves an address by itself.
    /// That is one move to DC 2 of an address that tests do not use.
    pub fn wait_alone(&mut self) -> Result<()> {
        self.bind(&[SCOUT])?;
        self.agent.kill9()?;
        self.wait_forwarded(SCOUT, DC2)
    }

    /// Starts the agent again on what the last one has left.
    pub fn restart(self) -> Result<Self> {
        let options: Vec<_> = self.options.iter().map(String::as_str).collect();
        let mut agent = self.agent.restart(&[&RUN, options.as_slice()].concat())?;
        agent.wait_ready(SOON)?;
        Ok(Self { agent, ..self })
    }

    /// Has a VM send a frame from a site on `t0`, and waits until the client has it.
    pub fn speak(&mut self, address: IpAddr, vlan: u16) -> Result<()> {
        let before = self.arrived();
        self.vms.send(Pace::Flood, 1, &[(address, vlan)])?;
        let frame = || format!("a frame of {address} from VLAN {vlan}");
        self.wait_for(before + 1, SOON).with_context(frame)
    }

    /// Waits until so many frames of VMs have arrived as the VMs on `t0` have sent.
    pub fn wait_arrived(&self, timeout: Duration) -> Result<()> {
        self.wait_for(self.vms.sent(), timeout)
    }

    /// Waits until so many frames of VMs have arrived.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> Result<()> {
        let what = format!("{count} frames");
        poll_until(timeout, &what, || (self.arrived() >= count).then_some(()))
            .with_context(|| format!("{} arrived", self.arrived()))
    }

    /// How many frames of VMs have arrived.
    pub fn arrived(&self) -> usize {
        self.client.count(|frame| frame.starts_with(&SINK_MAC))
    }

    /// Has an address send `count` frames from a site on `t0`, none of which is believed, whoever
    /// says so: the agent for this reason, or then the datapath. Nothing else is dropped meanwhile.
    pub fn refused(&mut self, address: IpAddr, vlan: u16, reason: &str, count: u64) -> Result<()> {
        let refused = |bench: &Self| -> Result<_> {
            let stats = bench.agent.stats()?;
            let dropped = stats.drops().iter().map(|(_, count)| count).sum();
            Ok((stats.get(&format!("refused/{reason}")), dropped))
        };
        let before: (u64, u64) = refused(self)?;
        self.vms
            .send(Pace::Flood, count as usize, &[(address, vlan)])?;
        poll_until(SOON, &format!("{count} refusals as {reason}"), || {
            let (asked, dropped) = refused(self).ok()?;
            let all = asked + dropped == before.0 + before.1 + count;
            (all && asked > before.0).then_some(())
        })
    }

    /// Where the switch believes an address to be, and in which state.
    pub fn place(&self, address: IpAddr) -> Result<(String, String)> {
        let flow = self.agent.flow(&address.to_string())?;
        let flow = flow.with_context(|| format!("{address} is not bound"))?;
        let text = |name: &str| flow[name].as_str().unwrap_or_default().to_owned();
        Ok((text("site"), text("state")))
    }

    /// Waits until the switch believes an address to be at a site.
    pub fn wait_site(&self, address: IpAddr, site: &str) -> Result<()> {
        poll_until(SOON, &format!("{address} to be at {site}"), || {
            (self.place(address).ok()?.0 == site).then_some(())
        })
    }

    /// What was told of an address, but for operators' orders: event, from, to, reason.
    pub fn told(&self, address: IpAddr) -> Result<Vec<Told>> {
        let address = address.to_string();
        let events = self.agent.events()?.into_iter();
        let events = events
            .filter(|event| event["address"] == address && event["evidence"] != "operator")
            .map(|event| ["event", "from", "to", "reason"].map(|field| text(&event[field])));
        Ok(events.collect())
    }

    /// Whether nothing went wrong, and every frame of the VMs on `t0` arrived once, in its order.
    pub fn finish(self) -> Result<()> {
        let stats = self.agent.stats()?;
        ensure!(stats.faults().is_empty(), "{:?}", stats.faults());
        self.vms.check(&self.client.finish()?)
    }
}

/// Event, from, to and reason; empty where there is none.
pub type Told = [String; 4];

/// The same in short.
pub fn told(fields: [&str; 4]) -> Told {
    fields.map(str::to_owned)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The address of a number, IPv4 and IPv6 in turn.
pub fn vm(number: u8) -> IpAddr {
    if number.is_multiple_of(2) {
        IpAddr::from([10, 0, 0, 100 + number])
    } else {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 0x100 + u16::from(number)])
    }
}

/// A frame of an address from a site, to nobody who counts.
pub fn probe(address: IpAddr, vlan: u16) -> Vec<u8> {
    let to = match address {
        IpAddr::V4(_) => IpAddr::from([10, 0, 0, 8]),
        IpAddr::V6(_) => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 8]),
    };
    let mac = [0x52, 0x54, 0, 0, 0, 13];
    let plain = frame::udp(
        mac,
        [0x52, 0x54, 0, 0, 0, 8],
        (address, 7).into(),
        (to, 9).into(),
        &[0; 8],
    );
    tagged(&[Tag::c(vlan)], &plain)
}
