//! Frames to read.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv6Type, PacketBuilder,
    icmpv6::NeighborAdvertisementHeader,
};
use switch_ebpf::frame::{Address, Retag, Tag, retag_into};

pub type Mac = [u8; 6];

pub const VM_MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
pub const PC_MAC: Mac = [0x02, 0, 0, 0, 0, 0x32];
pub const BROADCAST: Mac = [0xff; 6];
pub const VM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
pub const PC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 32);
pub const VM6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5);
pub const PC6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x32);
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Bytes of an untagged Ethernet header.
pub const ETHERNET: usize = 14;

pub const fn v4(address: Ipv4Addr) -> Address {
    Address::v4(address.octets())
}

pub const fn v6(address: Ipv6Addr) -> Address {
    Address::v6(address.octets())
}

/// Any payload behind an Ethernet header.
pub fn ethernet(destination: Mac, source: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let ethertype = ethertype.to_be_bytes();
    [&destination, &source, &ethertype[..], payload].concat()
}

/// The frame with `tags` in front, the first one outermost.
pub fn tagged(tags: &[Tag], frame: &[u8]) -> Vec<u8> {
    tags.iter().rev().fold(frame.to_vec(), |frame, tag| {
        let mut out = Vec::new();
        retag_into(&frame, Retag::Push(*tag), &mut out);
        out
    })
}

/// The frame with one byte replaced.
pub fn with(frame: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at] = byte;
    frame
}

/// A UDP datagram of the VM's to the PC.
pub fn udp4(payload: &[u8]) -> Vec<u8> {
    udp4_between(VM, PC, PC_MAC, payload)
}

pub fn udp4_between(from: Ipv4Addr, to: Ipv4Addr, to_mac: Mac, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(VM_MAC, to_mac)
        .ipv4(from.octets(), to.octets(), 64)
        .udp(5000, 6000)
        .write(&mut frame, payload)
        .expect("a datagram");
    frame
}

/// The same in IPv6.
pub fn udp6(payload: &[u8]) -> Vec<u8> {
    udp6_between(VM6, PC6, PC_MAC, payload)
}

pub fn udp6_between(from: Ipv6Addr, to: Ipv6Addr, to_mac: Mac, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(VM_MAC, to_mac)
        .ipv6(from.octets(), to.octets(), 64)
        .udp(5000, 6000)
        .write(&mut frame, payload)
        .expect("a datagram");
    frame
}

/// An ARP message of the VM's.
pub fn arp(operation: ArpOperation, spa: Ipv4Addr, tha: Mac, tpa: Ipv4Addr) -> Vec<u8> {
    let message = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &VM_MAC,
        &spa.octets(),
        &tha,
        &tpa.octets(),
    )
    .expect("address lengths fit");
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(VM_MAC, BROADCAST)
        .arp(message)
        .write(&mut frame)
        .expect("an ARP message");
    frame
}

/// QEMU's announcement, with its padding.
pub fn rarp() -> Vec<u8> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    let mut frame = arp(ArpOperation(3), nobody, VM_MAC, nobody);
    frame[12..14].copy_from_slice(&[0x80, 0x35]);
    frame.resize(60, 0);
    frame
}

/// A neighbour discovery message; `rest` follows the target.
pub fn neighbour(
    kind: Icmpv6Type,
    from: Ipv6Addr,
    to: Ipv6Addr,
    target: Ipv6Addr,
    rest: &[u8],
) -> Vec<u8> {
    let to_mac = match to.octets() {
        [0xff, .., a, b, c, d] => [0x33, 0x33, a, b, c, d],
        _ => PC_MAC,
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(VM_MAC, to_mac)
        .ipv6(from.octets(), to.octets(), 255)
        .icmpv6(kind)
        .write(&mut frame, &[&target.octets(), rest].concat())
        .expect("a message");
    frame
}

pub fn solicitation(from: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let [a, b, c] = [a, b, c].map(u16::from);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a, b << 8 | c);
    neighbour(Icmpv6Type::NeighborSolicitation, from, group, target, &[])
}

pub fn advertisement(solicited: bool, to: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let header = NeighborAdvertisementHeader {
        router: false,
        solicited,
        r#override: true,
    };
    let [a, b, c, d, e, f] = VM_MAC;
    let option = [2, 1, a, b, c, d, e, f];
    let kind = Icmpv6Type::NeighborAdvertisement(header);
    neighbour(kind, VM6, to, target, &option)
}
