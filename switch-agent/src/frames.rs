//! The frames that the agent itself makes: learning packets, and questions on a link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv6Type, PacketBuilder};
use switch_ebpf::learning_packet::{LearningPacket, UDP_PORT};
use zerocopy::IntoBytes;

use crate::types::MacAddress;

/// Neighbour discovery from further away is not believed (RFC 4861 §7.1).
const NEIGHBOUR_HOPS: u8 = 255;
/// What hosts use by default.
const HOPS: u8 = 64;
/// A group's packets stay on the client's LAN.
const GROUP_HOPS: u8 = 1;
/// The source's link-layer address (RFC 4861 §4.6.1), 8 bytes.
const SOURCE_LINK_LAYER_ADDRESS: [u8; 2] = [1, 1];

/// A learning packet: from the VM's MAC and address. Nothing where the two addresses are of two
/// families.
pub fn learning(
    packet: &LearningPacket,
    source: IpAddr,
    (destination, to): (IpAddr, MacAddress),
) -> Option<Vec<u8>> {
    let hops = if destination.is_multicast() {
        GROUP_HOPS
    } else {
        HOPS
    };
    let ethernet = PacketBuilder::ethernet2(packet.mac(), to.0);
    let ip = match (source, destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), hops),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), hops),
        _ => return None,
    };
    let mut frame = Vec::new();
    ip.udp(UDP_PORT, UDP_PORT)
        .write(&mut frame, packet.as_bytes())
        .ok()?;
    Some(frame)
}

/// A question on a link: who has `address`? From the port itself, to `to` or to everyone whom the
/// question concerns.
///
/// Neither a gateway nor a switch has an address of its own. It asks from a link-local one made of its
/// MAC, which no switch learns and no router forwards. `from_nobody`: ARP from 0.0.0.0 instead, which
/// also those hosts answer that have no route to link-local addresses. It comes second, as a host
/// that is just looking whether its address is free takes it for a rival's (RFC 5227 §2.1.1).
///
/// Always something: it fits a frame.
pub fn question(
    port: MacAddress,
    address: IpAddr,
    to: Option<MacAddress>,
    from_nobody: bool,
) -> Option<Vec<u8>> {
    match address {
        IpAddr::V4(v4) => {
            let from = if from_nobody {
                Ipv4Addr::UNSPECIFIED
            } else {
                link_local_v4(port)
            };
            arp_request(port, from, v4, to)
        }
        IpAddr::V6(v6) => solicitation(port, v6, to),
    }
}

fn arp_request(
    port: MacAddress,
    from: Ipv4Addr,
    address: Ipv4Addr,
    to: Option<MacAddress>,
) -> Option<Vec<u8>> {
    let request = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &port.0,
        &from.octets(),
        &[0; 6],
        &address.octets(),
    )
    .ok()?;
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(port.0, to.unwrap_or(MacAddress::BROADCAST).0)
        .arp(request)
        .write(&mut frame)
        .ok()?;
    Some(frame)
}

fn solicitation(port: MacAddress, address: Ipv6Addr, to: Option<MacAddress>) -> Option<Vec<u8>> {
    // RFC 4861 §7.2.2 and, to one that is known, §7.3.3.
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let (mac, ip) = match to {
        Some(mac) => (mac, address),
        None => (MacAddress([0x33, 0x33, 0xff, a, b, c]), group),
    };
    let body = [&address.octets()[..], &SOURCE_LINK_LAYER_ADDRESS, &port.0].concat();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(port.0, mac.0)
        .ipv6(link_local_v6(port).octets(), ip.octets(), NEIGHBOUR_HOPS)
        .icmpv6(Icmpv6Type::NeighborSolicitation)
        .write(&mut frame, &body)
        .ok()?;
    Some(frame)
}

/// A link-local IPv4 address, but for the first and last 256, which are reserved (RFC 3927 §2.1).
fn link_local_v4(MacAddress([.., a, b]): MacAddress) -> Ipv4Addr {
    Ipv4Addr::new(169, 254, a % 254 + 1, b)
}

/// The link-local IPv6 address of a MAC (RFC 4291, appendix A).
fn link_local_v6(MacAddress([a, b, c, d, e, f]): MacAddress) -> Ipv6Addr {
    Ipv6Addr::from([
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ])
}

#[cfg(test)]
mod tests {
    use switch_ebpf::{
        frame::{Address, Evidence, Frame, Kind, Origin},
        learning_packet::{self, Announcement},
    };

    use super::*;

    const VM: MacAddress = MacAddress([0x52, 0x54, 0, 0, 0, 13]);
    const PORT: MacAddress = MacAddress([2, 0, 0, 0, 0xff, 9]);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_switch_reads_what_the_gateway_writes() {
        for (source, destination, hops) in [
            ("10.0.0.5", "10.0.0.1", 64),
            ("10.0.0.5", "224.0.0.1", 1),
            ("fd00::5", "fd00::1", 64),
            ("fd00::5", "ff02::1", 1),
        ] {
            let (source, destination) = (ip(source), ip(destination));
            let packet = LearningPacket::new(Announcement::Rarp, 7, 42, VM.0);
            let bytes = learning(&packet, source, (destination, PORT)).expect("a frame");
            let frame = Frame::read(bytes.as_slice()).expect("a frame");
            assert_eq!((frame.source, frame.destination), (VM.0, PORT.0));
            let read = frame
                .packet(bytes.as_slice(), bytes.len())
                .expect("a packet");
            assert_eq!(read.subject, Address::from(destination));
            let origin = Origin::Vm(Address::from(source), Evidence::Data);
            assert_eq!(frame.origin(&read), Ok(origin));
            let found = learning_packet::read(bytes.as_slice(), &frame);
            assert_eq!(found, Some(Ok(packet)));
            assert_eq!(bytes[if source.is_ipv4() { 22 } else { 21 }], hops);
        }
        let packet = LearningPacket::new(Announcement::Rarp, 7, 42, VM.0);
        assert!(learning(&packet, ip("10.0.0.5"), (ip("fd00::1"), PORT)).is_none());
    }

    #[test]
    fn nobody_learns_from_a_question() {
        for address in ["10.0.0.5", "fd00::12:3456"] {
            for to in [None, Some(VM)] {
                for from_nobody in [false, true] {
                    let address = ip(address);
                    let bytes = question(PORT, address, to, from_nobody).expect("a frame");
                    let frame = Frame::read(bytes.as_slice()).expect("a frame");
                    assert_eq!(frame.source, PORT.0);
                    let read = frame.packet(bytes.as_slice(), bytes.len()).expect("read");
                    assert!(matches!(read.kind, Kind::Arp | Kind::Solicitation));
                    assert_eq!(read.subject, Address::from(address));
                    assert_eq!(frame.origin(&read), Ok(Origin::Nobody));
                    if let Some(to) = to {
                        assert_eq!(frame.destination, to.0);
                    }
                }
            }
        }
        let bytes = question(PORT, ip("fd00::12:3456"), None, false).expect("a frame");
        assert_eq!(bytes[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(link_local_v4(PORT), Ipv4Addr::new(169, 254, 2, 9));
        assert_eq!(link_local_v6(PORT).to_string(), "fe80::ff:fe00:ff09");
    }
}
