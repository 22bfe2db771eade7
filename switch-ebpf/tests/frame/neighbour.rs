//! IPv6 neighbour discovery.

use std::net::Ipv6Addr;

use etherparse::Icmpv6Type;
use switch_ebpf::{
    abi::Drop,
    frame::{Evidence, Kind, Origin, Packet, Target},
};

use super::{cut, origin, read, target, wire::*};

const HOP_LIMIT: usize = ETHERNET + 7;
const PAYLOAD_LEN: usize = ETHERNET + 5;
const ICMPV6: usize = ETHERNET + 40;
const CODE: usize = ICMPV6 + 1;
const FLAGS: usize = ICMPV6 + 4;
const TARGET: usize = ICMPV6 + 8;
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 5);

#[test]
fn a_solicitation_speaks_for_its_source_and_asks_for_its_target() {
    let bytes = solicitation(VM6, PC6);
    assert_eq!(
        read(&bytes).expect("a frame").1,
        Packet {
            kind: Kind::Solicitation,
            speaker: v6(VM6),
            subject: v6(PC6)
        }
    );
    assert_eq!(origin(&bytes), Ok(Origin::Vm(v6(VM6), Evidence::Data)));
    assert_eq!(target(&bytes), Ok(Target::Asked(v6(PC6))));
}

#[test]
fn duplicate_address_detection_is_no_claim() {
    let bytes = solicitation(Ipv6Addr::UNSPECIFIED, VM6);
    assert_eq!(origin(&bytes), Ok(Origin::Nobody));
    assert_eq!(target(&bytes), Ok(Target::Asked(v6(VM6))));
}

#[test]
fn an_unsolicited_advertisement_announces_its_target() {
    let bytes = advertisement(false, ALL_NODES, VM6);
    assert_eq!(
        read(&bytes).expect("a frame").1,
        Packet {
            kind: Kind::UnsolicitedAdvertisement,
            speaker: v6(VM6),
            subject: v6(ALL_NODES)
        }
    );
    assert_eq!(origin(&bytes), Ok(Origin::Vm(v6(VM6), Evidence::Announce)));
    assert_eq!(target(&bytes), Ok(Target::Everyone));
}

#[test]
fn it_may_be_sent_to_one_host_and_without_override() {
    let bytes = with(&advertisement(false, PC6, VM6), FLAGS, 0);
    assert_eq!(origin(&bytes), Ok(Origin::Vm(v6(VM6), Evidence::Announce)));
    assert_eq!(target(&bytes), Ok(Target::Unicast(v6(PC6))));
}

#[test]
fn an_advertisement_speaks_for_its_target_and_not_for_its_source() {
    let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 6);
    let bytes = advertisement(false, ALL_NODES, other);
    assert_eq!(
        origin(&bytes),
        Ok(Origin::Vm(v6(other), Evidence::Announce))
    );
}

#[test]
fn a_solicited_advertisement_is_ordinary_traffic() {
    let bytes = advertisement(true, PC6, VM6);
    assert_eq!(
        read(&bytes).expect("a frame").1,
        Packet {
            kind: Kind::Advertisement,
            speaker: v6(VM6),
            subject: v6(PC6)
        }
    );
    assert_eq!(origin(&bytes), Ok(Origin::Vm(v6(VM6), Evidence::Data)));
    assert_eq!(target(&bytes), Ok(Target::Unicast(v6(PC6))));
}

#[test]
fn link_local_neighbours_teach_nothing() {
    for bytes in [
        solicitation(LINK_LOCAL, PC6),
        advertisement(false, ALL_NODES, LINK_LOCAL),
        advertisement(true, PC6, LINK_LOCAL),
    ] {
        assert_eq!(origin(&bytes), Ok(Origin::Nobody));
    }
}

#[test]
fn what_has_been_through_a_router_is_not_believed() {
    for bytes in [
        solicitation(VM6, PC6),
        solicitation(Ipv6Addr::UNSPECIFIED, VM6),
        advertisement(false, ALL_NODES, VM6),
        advertisement(true, PC6, VM6),
    ] {
        for hops in [0, 1, 64, 254] {
            let far = with(&bytes, HOP_LIMIT, hops);
            assert_eq!(read(&far), Err(Drop::NdMalformed), "hop limit {hops}");
        }
        let odd = with(&bytes, CODE, 1);
        assert_eq!(read(&odd), Err(Drop::NdMalformed), "code 1");
        let group = with(&bytes, TARGET, 0xff);
        assert_eq!(read(&group), Err(Drop::NdMalformed), "a multicast target");
    }
}

#[test]
fn nobody_solicits_from_everybody() {
    let bytes = advertisement(true, ALL_NODES, VM6);
    assert_eq!(read(&bytes), Err(Drop::NdMalformed));
}

#[test]
fn a_message_cut_off_within_its_packet_is_truncated() {
    // The packet says itself how short it is, so that the packet is whole and the message is not.
    for bytes in [solicitation(VM6, PC6), advertisement(true, PC6, VM6)] {
        for length in 2..24 {
            let short = with(&bytes, PAYLOAD_LEN, length);
            let end = ICMPV6 + usize::from(length);
            assert_eq!(
                read(&short[..end]),
                Err(Drop::NdTruncated),
                "{length} bytes"
            );
            assert_eq!(
                read(&short),
                Err(Drop::NdTruncated),
                "{length} bytes and more"
            );
        }
        for length in 0..2 {
            let short = with(&bytes, PAYLOAD_LEN, length);
            let end = ICMPV6 + usize::from(length);
            assert_eq!(
                read(&short[..end]),
                Err(Drop::NdTruncated),
                "no kind and code"
            );
        }
        let least = with(&bytes, PAYLOAD_LEN, 24);
        assert!(read(&least[..ICMPV6 + 24]).is_ok(), "no options");
    }
}

#[test]
fn a_packet_cut_off_anywhere_is_truncated() {
    for bytes in [solicitation(VM6, PC6), advertisement(false, ALL_NODES, VM6)] {
        cut(
            &bytes,
            &[
                (ETHERNET, Drop::EthernetTruncated),
                (bytes.len(), Drop::Ipv6Truncated),
            ],
        );
    }
}

#[test]
fn router_discovery_is_an_ordinary_packet() {
    let solicitation = neighbour(
        Icmpv6Type::RouterSolicitation,
        LINK_LOCAL,
        ALL_NODES,
        VM6,
        &[],
    );
    assert_eq!(origin(&solicitation), Ok(Origin::Nobody));
    assert_eq!(target(&solicitation), Ok(Target::Everyone));
}

#[test]
fn behind_an_extension_header_it_is_an_ordinary_packet() {
    // A hop-by-hop header with padding, then the message: only its IPv6 source is believed.
    let plain = advertisement(false, ALL_NODES, VM6);
    let mut bytes = plain[..ICMPV6].to_vec();
    bytes[ETHERNET + 6] = 0;
    bytes[PAYLOAD_LEN] += 8;
    bytes.extend_from_slice(&[58, 0, 1, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&plain[ICMPV6..]);
    let (_, packet) = read(&bytes).expect("a frame");
    assert_eq!((packet.kind, packet.speaker), (Kind::Ip, v6(VM6)));
}
