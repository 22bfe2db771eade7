//! Valid frames of every kind that the programs know, and some that they do not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fastrand::Rng;
use lab::{
    Mac, Tag,
    frame::{self, Arp, BROADCAST, Ndp, TPID_C, TPID_S},
};
use switch_ebpf::learning_packet::{Announcement, LearningPacket, UDP_PORT};
use zerocopy::IntoBytes;

/// How many hosts there are: few, so that their frames meet.
const HOSTS: u8 = 12;
/// The longest payload of a packet that fits a page, and of one that is in several buffers.
const PAYLOADS: [usize; 4] = [0, 64, 1472, 9000];

/// Somebody with an address of each kind.
#[derive(Clone, Copy)]
struct Host {
    mac: Mac,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

fn host(rng: &mut Rng) -> Host {
    let number = rng.u8(1..=HOSTS);
    Host {
        mac: [0x52, 0x54, 0, 0, 2, number],
        v4: match rng.u8(..) {
            0 => Ipv4Addr::from(rng.u32(..)),
            1 => Ipv4Addr::new(169, 254, 0, number),
            _ => Ipv4Addr::new(10, 0, 0, number),
        },
        v6: match rng.u8(..) {
            0 => Ipv6Addr::from(rng.u128(..)),
            1 => Ipv4Addr::new(10, 0, 0, number).to_ipv6_mapped(),
            2..10 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into()),
            _ => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
        },
    }
}

/// An untagged frame.
pub fn any(rng: &mut Rng) -> Vec<u8> {
    let (from, to) = (host(rng), host(rng));
    match rng.u8(0..18) {
        0..4 => datagram(rng, &from, &to),
        4 => Arp::request(from.mac, from.v4, to.v4).frame(),
        5 => Arp::reply(from.mac, from.v4, to.mac, to.v4).frame(),
        6 => Arp::announcement(from.mac, from.v4).frame(),
        7 => Arp::gratuitous_reply(from.mac, from.v4).frame(),
        8 => Arp::probe(from.mac, to.v4).frame(),
        9 => Ndp::solicitation(from.mac, from.v6, to.v6).frame(),
        10 => Ndp::dad(from.mac, to.v6).frame(),
        11 => Ndp::unsolicited(from.mac, from.v6, rng.bool()).frame(),
        12 => Ndp::solicited(from.mac, from.v6, to.mac, to.v6).frame(),
        13 => echo(&from, &to),
        14 => frame::rarp(from.mac),
        15 => learning_packet(rng, &from, &to),
        16 => to_a_group(rng, &from, &to),
        _ => of_no_ip(rng, &from, &to),
    }
}

fn datagram(rng: &mut Rng, from: &Host, to: &Host) -> Vec<u8> {
    let most = PAYLOADS[rng.usize(..PAYLOADS.len())];
    let payload = bytes(rng, most);
    let (source, destination) = both(rng, from, to);
    frame::udp(
        from.mac,
        to.mac,
        SocketAddr::new(source, rng.u16(..)),
        SocketAddr::new(destination, rng.u16(..)),
        &payload,
    )
}

fn both(rng: &mut Rng, from: &Host, to: &Host) -> (IpAddr, IpAddr) {
    if rng.bool() {
        (from.v4.into(), to.v4.into())
    } else {
        (from.v6.into(), to.v6.into())
    }
}

/// An ICMPv6 message that is none of neighbour discovery's.
fn echo(from: &Host, to: &Host) -> Vec<u8> {
    Ndp {
        kind: 128,
        hop_limit: 64,
        link_layer: None,
        ..Ndp::solicited(from.mac, from.v6, to.mac, to.v6)
    }
    .frame()
}

fn learning_packet(rng: &mut Rng, from: &Host, to: &Host) -> Vec<u8> {
    let announcement = Announcement::from(rng.u8(0..6));
    let packet = LearningPacket::new(announcement, rng.u32(..), rng.u64(..), from.mac);
    let (source, destination) = both(rng, from, to);
    frame::udp(
        from.mac,
        to.mac,
        SocketAddr::new(source, rng.u16(..)),
        SocketAddr::new(destination, UDP_PORT),
        packet.as_bytes(),
    )
}

fn to_a_group(rng: &mut Rng, from: &Host, to: &Host) -> Vec<u8> {
    let mut frame = datagram(rng, from, to);
    let group = match rng.u8(0..3) {
        0 => BROADCAST,
        1 => [0x01, 0, 0x5e, 0, 0, 251],
        _ => [0x33, 0x33, 0, 0, 0, 1],
    };
    frame[..6].copy_from_slice(&group);
    frame
}

fn of_no_ip(rng: &mut Rng, from: &Host, to: &Host) -> Vec<u8> {
    let payload = bytes(rng, 100);
    let destination = if rng.bool() {
        to.mac
    } else {
        [0x01, 0x80, 0xc2, 0, 0, rng.u8(..)]
    };
    let ethertype = match rng.u8(0..3) {
        // The length of an LLC payload.
        0 => payload.len() as u16,
        1 => 0x88cc,
        _ => rng.u16(..),
    };
    frame::ethernet(from.mac, destination, ethertype, &payload)
}

/// Up to `most` bytes of anything.
pub fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    let length = rng.usize(0..=most);
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

/// A tag of either kind with any priority.
pub fn tag(rng: &mut Rng) -> Tag {
    let vid = match rng.u8(0..4) {
        0 => 0,
        1 => rng.u16(0..=0xfff),
        _ => rng.u16(0..4),
    };
    let tpid = if rng.bool() { TPID_C } else { TPID_S };
    let (pcp, dei) = (rng.u8(0..8), rng.bool());
    Tag {
        tpid,
        ..Tag::c(vid).with_priority(pcp, dei)
    }
}
