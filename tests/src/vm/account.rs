//! What became of a guest's frames, by captures on both sides of the switch.

use std::{fmt, time::Instant};

use anyhow::{Result, ensure};
use etherparse::{LaxSlicedPacket, TransportSlice};

use super::Migrated;
use crate::{
    Capture, Dc, Lab, Mac, Received,
    frame::{ADVERTISEMENT, ETHERTYPE_ARP, ETHERTYPE_RARP},
};

/// How a learning packet's payload begins.
const LEARNING_PACKET: &[u8] = b"VMLP";

/// Captures of all that reaches the switch from the data centres, and of all that reaches the client.
#[derive(Debug)]
pub struct Ears {
    /// The WAN's ends of the data centres' uplinks, in their order.
    sites: Vec<Capture>,
    /// What the switch has sent, where it comes out on the data centres' LANs.
    lans: Vec<Capture>,
    client: Capture,
    client_mac: Mac,
    guest_mac: Mac,
}

/// What the captures have.
#[derive(Clone, Debug)]
pub struct Account {
    /// What reached the switch from the data centres, by time.
    pub heard: Vec<Heard>,
    /// What reached the client of that, by time.
    pub delivered: Vec<Received>,
    /// What came out on the data centres' LANs for the guest, by time.
    pub reached: Vec<Reached>,
    client_mac: Mac,
    guest_mac: Mac,
}

/// A frame that reached the switch from a data centre.
#[derive(Clone, Debug)]
pub struct Heard {
    /// From which, as an index of [`Lab::dc`].
    pub dc: usize,
    /// What it is.
    pub kind: Kind,
    /// The frame, without the data centre's tag.
    pub frame: Vec<u8>,
    /// When it came.
    pub at: Instant,
}

/// A frame for the guest that came out on a data centre's LAN.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// Of which, as an index of [`Lab::dc`].
    pub dc: usize,
    /// Its number, if it is one of a numbered stream over UDP that begins with the first.
    pub number: Option<u64>,
    /// When it came out.
    pub at: Instant,
}

/// What a frame says about where a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The hypervisor's announcement.
    Rarp,
    /// A gratuitous ARP.
    Garp,
    /// An unsolicited neighbour advertisement.
    Na,
    /// A gateway's learning packet.
    LearningPacket,
    /// An IP packet.
    Data,
    /// Anything else, such as an ordinary ARP request.
    Other,
}

impl Ears {
    /// Opens them.
    ///
    /// # Errors
    /// When a capture cannot be opened.
    pub fn open(lab: &Lab, guest: Mac) -> Result<Self> {
        let site = |dc: &Dc| Capture::start(&lab.wan, &dc.wan_port);
        let lan = |dc: &Dc| Capture::start(&dc.ns, dc.from_the_switch());
        Ok(Self {
            sites: lab.dc.iter().map(site).collect::<Result<_>>()?,
            lans: lab.dc.iter().map(lan).collect::<Result<_>>()?,
            client: Capture::start(&lab.client.ns, &lab.client.interface)?,
            client_mac: lab.client.mac,
            guest_mac: guest,
        })
    }

    /// How many frames have reached the client so far.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.client.received()
    }

    /// Whether anything of the guest for the client has reached the switch yet.
    #[must_use]
    pub fn any_heard(&self) -> bool {
        let for_client = |frame: &[u8]| frame.starts_with(&self.client_mac);
        self.sites.iter().any(|site| site.count(for_client) > 0)
    }

    /// Ends the captures.
    ///
    /// # Errors
    /// When one of them has missed a frame.
    pub fn close(self) -> Result<Account> {
        let mut heard = Vec::new();
        for (dc, capture) in self.sites.into_iter().enumerate() {
            let mut last = None;
            for Received { frame, at, .. } in capture.finish()? {
                // In their order, whatever is uncertain of their times.
                let at = last.map_or(at, |last| at.max(last));
                last = Some(at);
                let frame = untagged(frame);
                let kind = Kind::of(&frame);
                heard.push(Heard {
                    dc,
                    kind,
                    frame,
                    at,
                });
            }
        }
        heard.sort_by_key(|heard| heard.at);
        let mut reached = Vec::new();
        for (dc, capture) in self.lans.into_iter().enumerate() {
            let frames = capture.finish()?.into_iter();
            let for_guest = frames.filter(|got| got.frame.starts_with(&self.guest_mac));
            reached.extend(for_guest.map(|got| Reached {
                dc,
                number: number(&got.frame),
                at: got.at,
            }));
        }
        reached.sort_by_key(|reached| reached.at);
        Ok(Account {
            heard,
            reached,
            delivered: self.client.finish()?,
            client_mac: self.client_mac,
            guest_mac: self.guest_mac,
        })
    }
}

impl Account {
    /// Compares what reached the switch for the client with what the client got, and gives the number of
    /// frames.
    ///
    /// # Errors
    /// When one was lost, changed, duplicated or came out of order.
    pub fn all_delivered(&self) -> Result<usize> {
        let sent: Vec<&[u8]> = self.for_client().map(|heard| &*heard.frame).collect();
        let got: Vec<&[u8]> = self.at_client().map(|got| &*got.frame).collect();
        let same = sent.iter().zip(&got).take_while(|(a, b)| a == b).count();
        ensure!(
            sent == got,
            "{} frames reached the switch for the client and {} the client; from number {same} on they \
             differ",
            sent.len(),
            got.len()
        );
        Ok(sent.len())
    }

    /// What reached the switch for the client, by time.
    pub fn for_client(&self) -> impl Iterator<Item = &Heard> {
        let to = |heard: &&Heard| heard.frame.starts_with(&self.client_mac);
        self.heard.iter().filter(to)
    }

    /// What of that reached the client, by time.
    pub fn at_client(&self) -> impl Iterator<Item = &Received> {
        let to = |got: &&Received| got.frame.starts_with(&self.client_mac);
        self.delivered.iter().filter(to)
    }

    /// When the first frame for the guest reached a data centre's LAN after the guest was stopped elsewhere.
    #[must_use]
    pub fn first_for_guest(&self, dc: usize, migrated: &Migrated) -> Option<Instant> {
        let there = self.reached.iter().filter(|reached| reached.dc == dc);
        let mut after = there.map(|reached| reached.at);
        after.find(|at| *at > migrated.stopped)
    }

    /// What came from a data centre to tell of the guest, after it was stopped elsewhere: its own frames,
    /// and those in its name.
    pub fn news(&self, dc: usize, migrated: &Migrated) -> impl Iterator<Item = &Heard> {
        let since = migrated.stopped;
        self.heard.iter().filter(move |heard| {
            let tells = heard.frame[6..12] == self.guest_mac || heard.kind == Kind::LearningPacket;
            tells && heard.dc == dc && heard.at > since
        })
    }
}

impl Kind {
    fn of(frame: &[u8]) -> Self {
        let ethertype = frame
            .get(12..14)
            .map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        match ethertype {
            ETHERTYPE_RARP => return Self::Rarp,
            // Sender and target address.
            ETHERTYPE_ARP if frame.get(28..32) == frame.get(38..42) => return Self::Garp,
            ETHERTYPE_ARP => return Self::Other,
            _ => {}
        }
        let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else {
            return Self::Other;
        };
        match packet.transport {
            Some(TransportSlice::Udp(udp)) if udp.payload().starts_with(LEARNING_PACKET) => {
                Self::LearningPacket
            }
            Some(TransportSlice::Icmpv6(icmp)) if icmp.type_u8() == ADVERTISEMENT => Self::Na,
            // Neighbour discovery and group membership.
            Some(TransportSlice::Icmpv6(icmp)) if icmp.type_u8() > 129 => Self::Other,
            _ if packet.net.is_some() => Self::Data,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rarp => "RARP",
            Self::Garp => "GARP",
            Self::Na => "NA",
            Self::LearningPacket => "learning packet",
            Self::Data => "data",
            Self::Other => "other",
        })
    }
}

/// The number that a UDP packet's payload begins with.
fn number(frame: &[u8]) -> Option<u64> {
    // A stand-in gateway takes the tag off behind the capture.
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    match packet.transport? {
        TransportSlice::Udp(udp) => Some(u64::from_be_bytes(*udp.payload().first_chunk()?)),
        _ => None,
    }
}

/// Takes the outermost tag off.
fn untagged(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.len() > 16 {
        frame.drain(12..16);
    }
    frame
}
