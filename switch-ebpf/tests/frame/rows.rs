//! Each row of the two forwarding tables of DESIGN.md §3, as far as a frame decides it: what it
//! says of its sender (down) and whom it is meant for (up).

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::ArpOperation;
use switch_ebpf::{
    abi::Drop,
    frame::{Evidence, Origin, Target},
};

use super::{origin, target, wire::*};

const GROUP_MAC: Mac = [0x01, 0, 0x5e, 0, 0, 1];
const GROUP6_MAC: Mac = [0x33, 0x33, 0, 0, 0, 1];
/// Ethertypes of which nothing is known: LLC, MPLS, PPPoE, LLDP.
const OTHERS: [u16; 4] = [0x0040, 0x8847, 0x8864, 0x88cc];

#[test]
fn down_an_ip_packet_speaks_for_its_source() {
    let data = |address| Ok(Origin::Vm(address, Evidence::Data));
    assert_eq!(origin(&udp4(b"x")), data(v4(VM)));
    assert_eq!(origin(&udp6(b"x")), data(v6(VM6)));
    let broadcast = udp4_between(VM, Ipv4Addr::BROADCAST, BROADCAST, b"x");
    assert_eq!(origin(&broadcast), data(v4(VM)), "wherever it goes");
}

#[test]
fn down_a_source_that_no_vm_has_teaches_nothing() {
    for source in [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(0, 0, 0, 1),
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(240, 0, 0, 1),
        Ipv4Addr::BROADCAST,
    ] {
        let bytes = udp4_between(source, PC, PC_MAC, b"x");
        assert_eq!(origin(&bytes), Ok(Origin::Nobody), "{source}");
    }
    for source in [
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        VM.to_ipv6_mapped(),
    ] {
        let bytes = udp6_between(source, PC6, PC_MAC, b"x");
        assert_eq!(origin(&bytes), Ok(Origin::Nobody), "{source}");
    }
}

#[test]
fn down_other_ethertypes_teach_nothing() {
    for ethertype in OTHERS {
        let bytes = ethernet(PC_MAC, VM_MAC, ethertype, &[0; 46]);
        assert_eq!(origin(&bytes), Ok(Origin::Nobody), "{ethertype:04x}");
        let empty = ethernet(PC_MAC, VM_MAC, ethertype, &[]);
        assert_eq!(origin(&empty), Ok(Origin::Nobody), "nothing in it");
    }
}

#[test]
fn link_control_and_rarp_go_neither_way() {
    for last in 0..=0x0f {
        let to = [0x01, 0x80, 0xc2, 0, 0, last];
        for bytes in [
            ethernet(to, VM_MAC, 0x88cc, &[0; 46]),
            udp4_between(VM, PC, to, b"x"),
            udp6_between(VM6, PC6, to, b"x"),
        ] {
            assert_eq!(origin(&bytes), Err(Drop::LinkControl), "{last:02x}");
            assert_eq!(target(&bytes), Err(Drop::LinkControl), "{last:02x}");
        }
    }
    for beside in [
        [0x01, 0x80, 0xc2, 0, 0, 0x10],
        [0x01, 0x80, 0xc2, 0, 1, 0],
        [0x01, 0x80, 0xc2, 1, 0, 0],
        [0x01, 0x80, 0xc3, 0, 0, 0],
        [0x01, 0x81, 0xc2, 0, 0, 0],
        [0x03, 0x80, 0xc2, 0, 0, 0],
    ] {
        let bytes = ethernet(beside, VM_MAC, 0x88cc, &[0; 46]);
        assert_eq!(origin(&bytes), Ok(Origin::Nobody), "{beside:x?}");
        assert_eq!(target(&bytes), Ok(Target::Everyone), "{beside:x?}");
    }
    assert_eq!(origin(&rarp()), Err(Drop::Rarp));
    assert_eq!(target(&rarp()), Err(Drop::Rarp));
}

#[test]
fn up_an_ip_packet_is_for_its_destination() {
    assert_eq!(target(&udp4(b"x")), Ok(Target::Unicast(v4(PC))));
    assert_eq!(target(&udp6(b"x")), Ok(Target::Unicast(v6(PC6))));
}

#[test]
fn up_an_arp_request_or_solicitation_is_for_whom_it_asks() {
    let request = arp(ArpOperation::REQUEST, PC, [0; 6], VM);
    assert_eq!(target(&request), Ok(Target::Asked(v4(VM))));
    assert_eq!(target(&solicitation(PC6, VM6)), Ok(Target::Asked(v6(VM6))));
}

#[test]
fn up_broadcast_multicast_and_link_local_is_for_everyone() {
    for (to, mac) in [
        (Ipv4Addr::BROADCAST, BROADCAST),
        // A subnet's broadcast address does not look like one; its MAC does.
        (Ipv4Addr::new(10, 0, 0, 255), BROADCAST),
        (Ipv4Addr::new(224, 0, 0, 251), GROUP_MAC),
        (Ipv4Addr::new(239, 1, 2, 3), PC_MAC),
        (Ipv4Addr::new(169, 254, 3, 4), PC_MAC),
    ] {
        let bytes = udp4_between(VM, to, mac, b"x");
        assert_eq!(target(&bytes), Ok(Target::Everyone), "{to}");
    }
    for (to, mac) in [
        (ALL_NODES, GROUP6_MAC),
        (ALL_NODES, PC_MAC),
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9), PC_MAC),
        (PC6, GROUP6_MAC),
    ] {
        let bytes = udp6_between(VM6, to, mac, b"x");
        assert_eq!(target(&bytes), Ok(Target::Everyone), "{to}");
    }
    let other = ethernet(BROADCAST, VM_MAC, 0x8847, &[0; 46]);
    assert_eq!(target(&other), Ok(Target::Everyone));
}

#[test]
fn up_other_ethertypes_are_for_the_station_of_their_mac() {
    for ethertype in OTHERS {
        let bytes = ethernet(PC_MAC, VM_MAC, ethertype, &[0; 46]);
        assert_eq!(target(&bytes), Ok(Target::Station), "{ethertype:04x}");
    }
}
