//! Ethernet frames, built byte by byte, with right checksums.
//!
//! The functions make untagged frames; [`tagged`] puts any number of tags in.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use etherparse::PacketBuilder;

mod arp;
mod ndp;

pub use arp::{Arp, rarp};
pub use ndp::{
    ADVERTISEMENT, ALL_NODES, Ndp, OVERRIDE, SOLICITATION, SOLICITED, dad_solicitation,
    neighbour_solicitation, solicited_advertisement, unsolicited_advertisement,
};

/// A hardware address.
pub type Mac = [u8; 6];

/// Everyone on the LAN.
pub const BROADCAST: Mac = [0xff; 6];

/// Customer tag, 802.1Q.
pub const TPID_C: u16 = 0x8100;
/// Service tag, 802.1ad.
pub const TPID_S: u16 = 0x88a8;

/// Address resolution.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Reverse address resolution.
pub const ETHERTYPE_RARP: u16 = 0x8035;

const MACS: usize = 12;
const HOP_LIMIT: u8 = 64;

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What kind of tag.
    pub tpid: u16,
    /// Priority, 0 to 7.
    pub pcp: u8,
    /// Drop eligible.
    pub dei: bool,
    /// VLAN id, 0 to 4095.
    pub vid: u16,
}

impl Tag {
    /// An 802.1Q tag.
    #[must_use]
    pub const fn c(vid: u16) -> Self {
        Self {
            tpid: TPID_C,
            pcp: 0,
            dei: false,
            vid,
        }
    }

    /// An 802.1ad tag.
    #[must_use]
    pub const fn s(vid: u16) -> Self {
        Self {
            tpid: TPID_S,
            pcp: 0,
            dei: false,
            vid,
        }
    }

    /// The same tag with a priority and a drop-eligible bit.
    #[must_use]
    pub const fn with_priority(self, pcp: u8, dei: bool) -> Self {
        Self { pcp, dei, ..self }
    }

    /// The tag's second half.
    #[must_use]
    pub const fn tci(self) -> u16 {
        (self.pcp as u16) << 13 | (self.dei as u16) << 12 | self.vid & 0xfff
    }

    /// The four bytes on the wire.
    #[must_use]
    pub fn bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.tpid.to_be_bytes(), self.tci().to_be_bytes());
        [a, b, c, d]
    }
}

/// As the command line has it behind a port.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.vid)?;
        if self.tpid == TPID_S {
            f.write_str("/802.1ad")?;
        }
        Ok(())
    }
}

/// Puts tags into a frame, the first one outermost, before those it has.
#[must_use]
pub fn tagged(tags: &[Tag], frame: &[u8]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|tag| tag.bytes());
    let (macs, rest) = frame.split_at(MACS);
    macs.iter()
        .copied()
        .chain(tags)
        .chain(rest.iter().copied())
        .collect()
}

/// An Ethernet frame with any payload. An ethertype up to 1500 is the length of an LLC payload.
#[must_use]
pub fn ethernet(source: Mac, destination: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [
        destination.as_slice(),
        source.as_slice(),
        ethertype.to_be_bytes().as_slice(),
        payload,
    ]
    .concat()
}

/// A UDP packet, IPv4 or IPv6 as its addresses are.
///
/// # Panics
/// When one address is IPv4 and the other IPv6, or the payload does not fit a packet.
#[must_use]
pub fn udp(
    source_mac: Mac,
    destination_mac: Mac,
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2(source_mac, destination_mac);
    let ip = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), HOP_LIMIT),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), HOP_LIMIT),
        (from, to) => panic!("a packet from {from} to {to} cannot be"),
    };
    let mut frame = Vec::new();
    ip.udp(source.port(), destination.port())
        .write_to_vec(&mut frame, payload)
        .expect("a payload that fits a packet");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    #[test]
    fn tags_go_in_outermost_first_and_keep_the_rest() {
        let frame = rarp(MAC);
        let tags = [Tag::s(100), Tag::c(7).with_priority(5, true)];
        let tagged = tagged(&tags, &frame);
        assert_eq!(&tagged[..12], &frame[..12]);
        assert_eq!(&tagged[12..20], &[0x88, 0xa8, 0, 100, 0x81, 0x00, 0xb0, 7]);
        assert_eq!(&tagged[20..], &frame[12..]);
    }
}
