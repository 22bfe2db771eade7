//! The news that a VM has moved: what it is, and when it comes to whom it is meant for.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use etherparse::{InternetSlice, SlicedPacket, TransportSlice};
use lab::{Lab, Mac, RawReceiver, Vm, interrupt};

/// How long news may take before they are believed to be lost.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often somebody who waits looks whether the demo is interrupted.
const STEP: Duration = Duration::from_millis(50);

/// What a learning packet is sent to and begins with.
const DISCARD: u16 = 9;
const MAGIC: &[u8] = b"VMLP";

/// What makes the switch change its flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The Fast packet of the patent.
    Packet,
    /// The dummy IP packet of a gateway.
    LearningPacket,
    /// The word of the control device.
    Order,
}

/// News of a VM.
#[derive(Clone, Copy, Debug)]
pub struct News {
    /// What they are.
    pub trigger: Trigger,
    /// When they came: packets to the switch, an announcement to the control device.
    pub came: Instant,
    /// When the switch had new flow rules, where it does not say so itself.
    pub switched: Option<Instant>,
}

/// Waits for the news of one move.
pub type Ear = Box<dyn FnOnce() -> Result<News> + Send>;

impl Trigger {
    /// What the switch calls it in its events.
    pub fn evidence(self) -> &'static str {
        match self {
            Self::Packet => "data",
            Self::LearningPacket => "announce",
            Self::Order => "operator",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packet => "the VM's first packet",
            Self::LearningPacket => "the gateway's learning packet",
            Self::Order => "the control device's order",
        })
    }
}

/// Listens at the end of a data centre's VPN for the first IP packet in the VM's name: nothing else
/// can tell the switch of it.
pub fn at_vpn(lab: &Lab, vm: &Vm, dc: usize) -> Result<Ear> {
    let port = &lab.dc[dc].wan_port;
    let mut receiver = RawReceiver::open(&lab.wan, port)?;
    let mac = vm.mac;
    Ok(Box::new(move || {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            interrupt::check()?;
            if let Some(received) = receiver.receive(STEP)?
                && let Some(trigger) = read(&received.frame, mac)
            {
                return Ok(News {
                    trigger,
                    came: received.at,
                    switched: None,
                });
            }
        }
        bail!("no packet of the VM came out of its VPN")
    }))
}

/// What an IP packet of the VM is, and of nothing else.
fn read(frame: &[u8], vm: Mac) -> Option<Trigger> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let source = packet.link.as_ref()?.to_header()?.ethernet2()?.source;
    if source != vm || !matches!(packet.net, Some(InternetSlice::Ipv4(_))) {
        return None;
    }
    Some(match packet.transport {
        Some(TransportSlice::Udp(udp))
            if udp.destination_port() == DISCARD && udp.payload().starts_with(MAGIC) =>
        {
            Trigger::LearningPacket
        }
        _ => Trigger::Packet,
    })
}
