//! Numbered streams of raw frames, from many VMs at once to somebody at the client's side.

use std::{
    collections::BTreeMap,
    fmt::Write,
    hint::spin_loop,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::UdpReport;
use crate::{Mac, Namespace, RawSender, Received, Tag, frame};

/// Somebody at the client's side who answers nothing.
pub const SINK_MAC: Mac = [0x52, 0x54, 0, 0, 0, 9];
/// Its IPv4 address.
pub const SINK_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
/// Its IPv6 address.
pub const SINK_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);

const NUMBER: usize = size_of::<u64>();
/// One sender of frames numbers them from here, the next from there: many more than anybody sends.
const SPAN: u64 = 1 << 32;

/// How fast frames come.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Back to back, as fast as they can be sent: faster than the agent forwards.
    Flood,
    /// Slower than the agent forwards, so that the datapath takes over in the middle of them.
    Steady,
}

/// Who sends: an address, in a VLAN of the trunk.
pub type Sender = (IpAddr, u16);

/// The VMs' end of a trunk: it numbers the frames that it sends, and keeps them.
#[derive(Debug)]
pub struct Vms {
    trunk: RawSender,
    /// Their MAC, which is the same for all.
    pub mac: Mac,
    first: u64,
    /// The size of the frames' payload in bytes, at least eight.
    pub payload: usize,
    sent: Vec<(Sender, Vec<u8>)>,
}

impl Vms {
    /// Takes an interface of the WAN.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn new(wan: &Namespace, interface: &str) -> Result<Self> {
        Self::another(wan, interface, 0)
    }

    /// The `nth` beside others, counted from 0, whose frames reach the same client.
    ///
    /// # Errors
    /// As [`Vms::new`].
    pub fn another(wan: &Namespace, interface: &str, nth: u64) -> Result<Self> {
        Ok(Self {
            trunk: RawSender::open(wan, interface)?,
            mac: [0x52, 0x54, 0, 0, 0, 13],
            first: nth * SPAN,
            payload: NUMBER,
            sent: Vec::new(),
        })
    }

    /// How many frames were sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// Who sent the last frame.
    #[must_use]
    pub fn last(&self) -> Option<Sender> {
        self.sent.last().map(|(sender, _)| *sender)
    }

    /// Sends `count` frames, of these senders in turn.
    ///
    /// # Errors
    /// When the trunk takes no frames.
    pub fn send(&mut self, pace: Pace, count: usize, senders: &[Sender]) -> Result<()> {
        let first = self.sent.len();
        let mut frames = Vec::with_capacity(count);
        for (number, sender) in (first..first + count).zip(senders.iter().cycle()) {
            let plain = self.numbered(sender.0, self.first + number as u64);
            frames.push(frame::tagged(&[Tag::c(sender.1)], &plain));
            self.sent.push((*sender, plain));
        }
        match pace {
            Pace::Flood => self.trunk.send_all(frames.iter().map(Vec::as_slice)),
            Pace::Steady => self.send_steadily(&frames),
        }
    }

    fn send_steadily(&self, frames: &[Vec<u8>]) -> Result<()> {
        /// 80 000 frames a second.
        const BURST: (usize, Duration) = (8, Duration::from_micros(100));
        let mut due = Instant::now();
        for burst in frames.chunks(BURST.0) {
            // Too short to sleep.
            while Instant::now() < due {
                spin_loop();
            }
            due += BURST.1;
            self.trunk.send_all(burst.iter().map(Vec::as_slice))?;
        }
        Ok(())
    }

    fn numbered(&self, address: IpAddr, number: u64) -> Vec<u8> {
        let sink = match address {
            IpAddr::V4(_) => IpAddr::V4(SINK_IPV4),
            IpAddr::V6(_) => IpAddr::V6(SINK_IPV6),
        };
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(self.payload.max(NUMBER), 0);
        frame::udp(
            self.mac,
            SINK_MAC,
            (address, 7).into(),
            (sink, 9).into(),
            &payload,
        )
    }

    /// What became of each sender's frames. Frames to others than the sink, or of others, do not
    /// matter.
    ///
    /// # Errors
    /// When one arrived that nobody sent, or otherwise than it was sent but for its tag.
    pub fn reports(&self, received: &[Received]) -> Result<BTreeMap<Sender, UdpReport>> {
        let mut arrivals: BTreeMap<Sender, Vec<(u64, Instant)>> = BTreeMap::new();
        for Received { frame, at, .. } in received {
            if frame.starts_with(&SINK_MAC) {
                let number = number(frame).with_context(|| format!("a stray {frame:02x?}"))?;
                let Some(nth) = number.checked_sub(self.first).filter(|nth| *nth < SPAN) else {
                    continue;
                };
                let sent = usize::try_from(nth).ok().and_then(|n| self.sent.get(n));
                let (sender, plain) = sent.with_context(|| format!("nobody sent {number}"))?;
                ensure!(frame == plain, "frame {number} has become {frame:02x?}");
                arrivals.entry(*sender).or_default().push((number, *at));
            }
        }
        let mut counts: BTreeMap<Sender, u64> = BTreeMap::new();
        for (sender, _) in &self.sent {
            *counts.entry(*sender).or_default() += 1;
        }
        let report = |(sender, count)| {
            let arrivals = arrivals.remove(&sender).unwrap_or_default();
            (sender, UdpReport::new(count, arrivals))
        };
        Ok(counts.into_iter().map(report).collect())
    }

    /// Whether every frame arrived, as it was sent but without its tag, and once, and those of one
    /// sender in their order.
    ///
    /// # Errors
    /// As [`Vms::reports`], or says what became of whose frames.
    pub fn check(&self, received: &[Received]) -> Result<()> {
        let mut wrong = String::new();
        for ((address, vlan), report) in self.reports(received)? {
            if !report.is_perfect() {
                write!(wrong, "\n{address} in VLAN {vlan}: {report}")?;
            }
        }
        ensure!(wrong.is_empty(), "of {} frames:{wrong}", self.sent());
        Ok(())
    }
}

/// The number in a frame of a VM.
fn number(frame: &[u8]) -> Option<u64> {
    const UDP: usize = 8;
    let payload = UDP
        + match frame.get(12..14)? {
            [0x08, 0x00] => 14 + 20,
            [0x86, 0xdd] => 14 + 40,
            _ => return None,
        };
    Some(u64::from_be_bytes(*frame.get(payload..)?.first_chunk()?))
}
