//! ARP in every form that PROTOCOL knows, and RARP.

use std::net::Ipv4Addr;

use etherparse::ArpOperation;
use switch_ebpf::{
    abi::Drop,
    frame::{Address, Evidence, Kind, Origin, Packet, Target},
};

use super::{cut, origin, read, target, wire::*};

const REQUEST: ArpOperation = ArpOperation::REQUEST;
const REPLY: ArpOperation = ArpOperation::REPLY;
const ZERO: Mac = [0; 6];
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// Offsets in an untagged frame.
const OPERATION: usize = ETHERNET + 7;
const SHA: usize = ETHERNET + 8;
const SPA: usize = ETHERNET + 14;

const fn vm(evidence: Evidence) -> Origin {
    Origin::Vm(v4(VM), evidence)
}

#[test]
fn a_probe_is_no_claim() {
    let probe = arp(REQUEST, NOBODY, ZERO, VM);
    assert_eq!(origin(&probe), Ok(Origin::Nobody));
    assert_eq!(target(&probe), Ok(Target::Asked(v4(VM))));
}

#[test]
fn an_announcement_whatever_its_target_mac() {
    // RFC 5227 and Linux, gratuitous replies of old Xen, keepalived.
    for operation in [REQUEST, REPLY] {
        for tha in [ZERO, VM_MAC, BROADCAST] {
            let bytes = arp(operation, VM, tha, VM);
            assert_eq!(
                origin(&bytes),
                Ok(vm(Evidence::Announce)),
                "{operation:?} {tha:x?}"
            );
        }
    }
}

#[test]
fn a_request_and_a_reply_are_ordinary_traffic() {
    let request = arp(REQUEST, VM, ZERO, PC);
    assert_eq!(origin(&request), Ok(vm(Evidence::Data)));
    assert_eq!(target(&request), Ok(Target::Asked(v4(PC))));
    let reply = arp(REPLY, VM, PC_MAC, PC);
    assert_eq!(origin(&reply), Ok(vm(Evidence::Data)));
    assert_eq!(target(&reply), Ok(Target::Asked(v4(PC))));
}

#[test]
fn both_addresses_are_read() {
    let (frame, packet) = read(&arp(REQUEST, VM, ZERO, PC)).expect("a frame");
    assert_eq!(frame.ethertype, 0x0806);
    assert_eq!(
        packet,
        Packet {
            kind: Kind::Arp,
            speaker: v4(VM),
            subject: v4(PC)
        }
    );
}

#[test]
fn a_sender_that_is_not_the_frames_source_is_not_believed() {
    let foreign = with(&arp(REQUEST, VM, ZERO, PC), SHA + 5, 0x57);
    assert_eq!(read(&foreign).expect("a frame").1.kind, Kind::ForeignArp);
    assert_eq!(origin(&foreign), Err(Drop::ArpSenderMismatch));
    assert_eq!(
        target(&foreign),
        Ok(Target::Asked(v4(PC))),
        "the client side may have proxies"
    );
}

#[test]
fn only_ipv4_over_ethernet_is_arp() {
    let good = arp(REQUEST, VM, ZERO, PC);
    for (at, byte) in [(0, 1), (1, 6), (2, 0x86), (3, 0xdd), (4, 8), (5, 16)] {
        let bad = with(&good, ETHERNET + at, byte);
        assert_eq!(read(&bad), Err(Drop::ArpMalformed), "byte {at}");
    }
    for operation in [0, 3, 4, 8, 9, 255] {
        let bad = with(&good, OPERATION, operation);
        assert_eq!(read(&bad), Err(Drop::ArpMalformed), "operation {operation}");
    }
    let bad = with(&good, OPERATION - 1, 1);
    assert_eq!(read(&bad), Err(Drop::ArpMalformed), "operation 257");
}

#[test]
fn a_sender_that_cannot_be_is_malformed() {
    let good = arp(REQUEST, VM, ZERO, PC);
    for first in [224, 239, 240, 255] {
        assert_eq!(
            read(&with(&good, SPA, first)),
            Err(Drop::ArpMalformed),
            "{first}"
        );
    }
}

#[test]
fn a_sender_that_no_vm_can_be_teaches_nothing() {
    for sender in [
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(169, 254, 1, 1),
        Ipv4Addr::new(0, 1, 2, 3),
    ] {
        for tpa in [PC, sender] {
            let bytes = arp(REQUEST, sender, ZERO, tpa);
            assert_eq!(origin(&bytes), Ok(Origin::Nobody), "{sender} for {tpa}");
        }
    }
}

#[test]
fn cut_off_anywhere_is_truncated() {
    cut(
        &arp(REQUEST, VM, ZERO, PC),
        &[
            (ETHERNET, Drop::EthernetTruncated),
            (ETHERNET + 28, Drop::ArpTruncated),
        ],
    );
}

#[test]
fn padding_is_nothing_wrong() {
    let mut bytes = arp(REQUEST, VM, ZERO, VM);
    bytes.resize(60, 0);
    assert_eq!(origin(&bytes), Ok(vm(Evidence::Announce)));
}

#[test]
fn rarp_carries_no_address_and_goes_nowhere() {
    let bytes = rarp();
    let (_, packet) = read(&bytes).expect("a frame");
    assert_eq!(
        packet,
        Packet {
            kind: Kind::Rarp,
            speaker: Address::UNSPECIFIED,
            subject: Address::UNSPECIFIED
        },
        "its sender and target 0.0.0.0 are not read as an announcement"
    );
    assert_eq!(origin(&bytes), Err(Drop::Rarp));
    assert_eq!(target(&bytes), Err(Drop::Rarp));
}

#[test]
fn rarp_in_an_arp_frame_is_malformed() {
    let mut bytes = rarp();
    bytes[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(read(&bytes), Err(Drop::ArpMalformed));
}
