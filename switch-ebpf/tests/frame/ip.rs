//! IPv4 and IPv6 packets without a neighbour's address in them.

use etherparse::{Icmpv6Type, PacketBuilder};
use switch_ebpf::{
    abi::Drop,
    frame::{Address, Frame, Kind, Packet},
};

use super::{cut, read, wire::*};

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;

#[test]
fn an_ipv4_packet_has_its_source_and_destination() {
    let (frame, packet) = read(&udp4(b"payload")).expect("a frame");
    assert_eq!(
        (frame.destination, frame.source, frame.outer()),
        (PC_MAC, VM_MAC, None)
    );
    assert_eq!((frame.ethertype, frame.network_offset), (0x0800, ETHERNET));
    assert_eq!(
        packet,
        Packet {
            kind: Kind::Ip,
            speaker: v4(VM),
            subject: v4(PC)
        }
    );
}

#[test]
fn an_ipv6_packet_has_its_source_and_destination() {
    let (frame, packet) = read(&udp6(b"payload")).expect("a frame");
    assert_eq!((frame.ethertype, frame.network_offset), (0x86dd, ETHERNET));
    assert_eq!(
        packet,
        Packet {
            kind: Kind::Ip,
            speaker: v6(VM6),
            subject: v6(PC6)
        }
    );
}

#[test]
fn ipv4_cut_off_anywhere_is_truncated() {
    let bytes = udp4(b"payload");
    cut(
        &bytes,
        &[
            (ETHERNET, Drop::EthernetTruncated),
            (bytes.len(), Drop::Ipv4Truncated),
        ],
    );
}

#[test]
fn ipv6_cut_off_anywhere_is_truncated() {
    let bytes = udp6(b"payload");
    cut(
        &bytes,
        &[
            (ETHERNET, Drop::EthernetTruncated),
            (bytes.len(), Drop::Ipv6Truncated),
        ],
    );
}

#[test]
fn options_are_part_of_an_ipv4_header() {
    let mut bytes = Vec::new();
    let options = etherparse::Ipv4Options::from([7_u8; 40]);
    let header = etherparse::Ipv4Header {
        source: VM.octets(),
        destination: PC.octets(),
        options,
        total_len: 60,
        ..Default::default()
    };
    PacketBuilder::ethernet2(VM_MAC, PC_MAC)
        .ip(etherparse::IpHeaders::Ipv4(header, Default::default()))
        .udp(1, 2)
        .write(&mut bytes, &[])
        .expect("a datagram");
    assert_eq!(bytes[ETHERNET], 0x4f, "fifteen words of header");
    let (_, packet) = read(&bytes).expect("a frame");
    assert_eq!((packet.speaker, packet.subject), (v4(VM), v4(PC)));
}

#[test]
fn an_ipv4_header_that_contradicts_itself_is_malformed() {
    let bytes = udp4(b"payload");
    let wrong = |at: usize, byte: u8| read(&with(&bytes, ETHERNET + at, byte));
    for version in [0, 5, 6, 15] {
        assert_eq!(wrong(0, version << 4 | 5), Err(Drop::Ipv4Malformed));
    }
    for words in 0..5 {
        assert_eq!(wrong(0, 0x40 | words), Err(Drop::Ipv4Malformed));
    }
    for total in 0..20 {
        assert_eq!(wrong(3, total), Err(Drop::Ipv4Malformed), "total {total}");
    }
    let longer_header = with(&bytes, ETHERNET, 0x4f);
    assert_eq!(
        read(&longer_header),
        Err(Drop::Ipv4Malformed),
        "a header longer than the packet"
    );
}

#[test]
fn an_ipv6_header_of_another_version_is_malformed() {
    let bytes = udp6(b"payload");
    for version in [0, 4, 5, 7, 15] {
        assert_eq!(
            read(&with(&bytes, ETHERNET, version << 4)),
            Err(Drop::Ipv6Malformed)
        );
    }
}

#[test]
fn padding_behind_a_packet_is_nothing_wrong() {
    for mut bytes in [udp4(b"x"), udp6(b"x")] {
        let packet = read(&bytes).expect("a frame").1;
        bytes.resize(bytes.len() + 30, 0xee);
        assert_eq!(read(&bytes).expect("a frame").1, packet);
    }
}

#[test]
fn the_header_alone_is_a_packet() {
    let bytes = ethernet(PC_MAC, VM_MAC, 0x0800, &udp4(b"")[ETHERNET..]);
    let bytes = with(&bytes, ETHERNET + 3, 20);
    assert!(read(&bytes[..ETHERNET + IPV4_LEN]).is_ok());
    let bytes = with(&udp6(b""), ETHERNET + 5, 0);
    assert!(read(&bytes[..ETHERNET + IPV6_LEN]).is_ok());
}

#[test]
fn a_frame_in_several_buffers_is_as_long_as_all_of_them() {
    let whole = udp4(&[0; 3000]);
    let linear = &whole[..200];
    let frame = Frame::read(linear).expect("a frame");
    assert!(frame.packet(linear, whole.len()).is_ok());
    assert_eq!(
        frame.packet(linear, whole.len() - 1),
        Err(Drop::Ipv4Truncated)
    );
    assert_eq!(
        frame.packet(linear, 0),
        Err(Drop::Ipv4Truncated),
        "a length that cannot be"
    );
    let whole = udp6(&[0; 3000]);
    let linear = &whole[..200];
    assert!(frame_of(linear).packet(linear, whole.len()).is_ok());
    assert_eq!(
        frame_of(linear).packet(linear, whole.len() - 1),
        Err(Drop::Ipv6Truncated)
    );
}

fn frame_of(bytes: &[u8]) -> Frame {
    Frame::read(bytes).expect("a frame")
}

#[test]
fn fragments_speak_for_their_source_as_well() {
    let bytes = udp4(b"payload");
    let middle = with(&with(&bytes, ETHERNET + 6, 0x20), ETHERNET + 7, 100);
    assert_eq!(read(&middle).expect("a frame").1.speaker, v4(VM));
}

#[test]
fn icmpv6_of_other_kinds_is_an_ordinary_packet() {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(VM_MAC, PC_MAC)
        .ipv6(VM6.octets(), PC6.octets(), 64)
        .icmpv6(Icmpv6Type::EchoRequest(etherparse::IcmpEchoHeader {
            id: 1,
            seq: 1,
        }))
        .write(&mut bytes, &[])
        .expect("a ping");
    let (_, packet) = read(&bytes).expect("a frame");
    assert_eq!((packet.kind, packet.speaker), (Kind::Ip, v6(VM6)));
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_nobodys() {
    let mapped = VM.to_ipv6_mapped();
    let (_, packet) = read(&udp6_between(mapped, PC6, PC_MAC, b"")).expect("a frame");
    assert_eq!(packet.speaker, Address::UNSPECIFIED);
}
