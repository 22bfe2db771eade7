//! Frames and records of the rings, read on the host by the very code that runs in the kernel.

use std::net::Ipv6Addr;

use anyhow::{Context, Error, Result, anyhow, ensure};
use etherparse::{
    ArpHardwareId, ArpPacketSlice, EtherType, Ethernet2Header, Icmpv6Slice, Icmpv6Type, IpNumber,
    Ipv4HeaderSlice, Ipv6HeaderSlice,
};
use fastrand::Rng;
use lab::{Mac, frame::tagged};
use switch_ebpf::{
    abi::{Drop, MissHeader, gateway::Notice},
    frame::{Address, Frame, Kind, MAX_TAGS, Origin, Packet, TAG_LEN},
    learning_packet::{self, LearningPacket},
};

use crate::{campaign, frames, leg, mutate::mutate};

/// Frames in a round.
const FRAMES: usize = 1_000;

#[test]
fn frames_are_read_as_by_others() -> Result<()> {
    let mut addresses = 0_u64;
    campaign::run("reading frames", 50, |rng| {
        for _ in 0..FRAMES {
            let bytes = wire(rng);
            let same = read(&bytes).with_context(|| format!("{} bytes {bytes:02x?}", bytes.len()));
            addresses += u64::from(same?);
        }
        Ok(())
    })?;
    // Or nothing would have been compared.
    ensure!(addresses > 0, "there is an address in none of the frames");
    println!("reading frames: addresses in {addresses} of them");
    Ok(())
}

#[test]
fn records_are_split_where_they_say() -> Result<()> {
    campaign::run("splitting records", 50, |rng| {
        for _ in 0..FRAMES {
            let mut record = frames::bytes(rng, 200);
            // A length that may be right.
            if let Some(length) = record.get_mut(32..36) {
                length.copy_from_slice(&rng.u32(0..256).to_ne_bytes());
            }
            if let Some((header, frame)) = MissHeader::split(&record) {
                let rest = &record[MissHeader::LEN..];
                ensure!(frame == &rest[..header.length as usize], "{record:02x?}");
            }
            if let Some((notice, frame)) = Notice::split(&record) {
                let rest = &record[size_of::<Notice>()..];
                ensure!(frame == &rest[..notice.length as usize], "{record:02x?}");
            }
        }
        Ok(())
    })
}

/// A frame with tags, or noise.
fn wire(rng: &mut Rng) -> Vec<u8> {
    if rng.u8(0..16) == 0 {
        return frames::bytes(rng, 128);
    }
    let tags: Vec<_> = (0..rng.usize(0..=MAX_TAGS))
        .map(|_| frames::tag(rng))
        .collect();
    let mut frame = tagged(&tags, &frames::any(rng));
    mutate(rng, &mut frame);
    if rng.u8(0..16) == 0 {
        frame.truncate(rng.usize(0..=frame.len()));
    }
    frame
}

/// Reads a frame in every way there is, and once more with etherparse, header by header: both read the
/// same, or neither does. Whether it is an address that was read.
fn read(bytes: &[u8]) -> Result<bool> {
    let _ = LearningPacket::parse(bytes);
    let read = Frame::read(bytes);
    let Some(tags) = leg::tags(bytes).filter(|tags| tags.len() <= MAX_TAGS) else {
        ensure!(read.is_err(), "broken tags are read");
        return Ok(false);
    };
    let frame = read.map_err(refused)?;
    exercise(bytes, &frame)?;
    let (ethernet, _) = Ethernet2Header::from_slice(bytes)?;
    ensure!((frame.destination, frame.source) == (ethernet.destination, ethernet.source));
    let outer = frame.outer().map(|tag| (tag.tpid, tag.tci));
    ensure!(outer == tags.first().map(|tag| (tag.tpid, tag.tci())));
    let offset = Ethernet2Header::LEN + TAG_LEN * tags.len();
    let (head, rest) = bytes.split_at(offset);
    ensure!(frame.network_offset == offset && head.ends_with(&frame.ethertype.to_be_bytes()));
    let packet = frame.packet(bytes, bytes.len());
    match EtherType(frame.ethertype) {
        EtherType::IPV4 => ipv4(rest, packet),
        EtherType::IPV6 => ipv6(rest, packet),
        EtherType::ARP => arp(rest, frame.source, packet),
        _ => {
            let kind = packet.map_err(refused)?.kind;
            ensure!(matches!(kind, Kind::Rarp | Kind::Other), "{kind:?}");
            Ok(false)
        }
    }
}

/// What cannot be compared must do no harm; and what holds for every frame.
fn exercise(bytes: &[u8], frame: &Frame) -> Result<()> {
    let _ = frame.is_rarp_announcement(bytes);
    let _ = learning_packet::read(bytes, frame);
    // Also a frame that goes on in further buffers, and one of which less is there than is said.
    for length in [bytes.len(), bytes.len() + 5_000, 0] {
        if let Ok(packet) = frame.packet(bytes, length) {
            let (origin, target) = (frame.origin(&packet), frame.target(&packet));
            let refused = origin.is_err() && target.is_err();
            ensure!(refused || !frame.is_link_control(), "no bridge forwards it");
            if let Ok(Origin::Vm(address, _)) = origin {
                ensure!(address.is_vm(), "{address:?} is learned");
            }
        }
    }
    Ok(())
}

fn refused(why: Drop) -> Error {
    anyhow!("it is refused as {}", why.name())
}

fn ipv4(bytes: &[u8], packet: Result<Packet, Drop>) -> Result<bool> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok();
    let header = header.filter(|header| {
        let possible = header.slice().len()..=bytes.len();
        possible.contains(&header.total_len().into())
    });
    let Some(header) = header else {
        ensure!(packet.is_err(), "a broken header is read");
        return Ok(false);
    };
    let expected = Packet {
        kind: Kind::Ip,
        speaker: Address::v4(header.source()),
        subject: Address::v4(header.destination()),
    };
    same(packet, expected)
}

fn ipv6(bytes: &[u8], packet: Result<Packet, Drop>) -> Result<bool> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok();
    let message = header.as_ref().and_then(|header| {
        let payload = &bytes[header.slice().len()..];
        payload.get(..header.payload_length().into())
    });
    let (Some(header), Some(message)) = (header, message) else {
        ensure!(packet.is_err(), "a broken header is read");
        return Ok(false);
    };
    let source = Address::v6(header.source());
    let destination = Address::v6(header.destination());
    let ordinary = Packet {
        kind: Kind::Ip,
        speaker: source,
        subject: destination,
    };
    if header.next_header() != IpNumber::IPV6_ICMP {
        return same(packet, ordinary);
    }
    let Ok(icmp) = Icmpv6Slice::from_slice(message) else {
        // Shorter than any ICMPv6 message: of no neighbour, if it is read.
        return packet.map_or(Ok(false), |packet| same(Ok(packet), ordinary));
    };
    if !matches!(icmp.type_u8(), 135 | 136) {
        return same(packet, ordinary);
    }
    // RFC 4861 §7.1.1 and §7.1.2, but for checksum and options.
    let target: Option<[u8; 16]> = icmp.payload().first_chunk().copied();
    let target = target.filter(|target| {
        header.hop_limit() == 255 && icmp.code_u8() == 0 && !Ipv6Addr::from(*target).is_multicast()
    });
    let expected = target.and_then(|target| match icmp.icmp_type() {
        Icmpv6Type::NeighborAdvertisement(flags) => {
            let to_all = header.destination_addr().is_multicast();
            let kind = if flags.solicited {
                Kind::Advertisement
            } else {
                Kind::UnsolicitedAdvertisement
            };
            (!flags.solicited || !to_all).then_some(Packet {
                kind,
                speaker: Address::v6(target),
                subject: destination,
            })
        }
        _ => Some(Packet {
            kind: Kind::Solicitation,
            speaker: source,
            subject: Address::v6(target),
        }),
    });
    match expected {
        Some(expected) => same(packet, expected),
        None => {
            ensure!(packet.is_err(), "a neighbour is believed: {packet:?}");
            Ok(false)
        }
    }
}

fn arp(bytes: &[u8], source: Mac, packet: Result<Packet, Drop>) -> Result<bool> {
    let arp = ArpPacketSlice::from_slice(bytes).ok().filter(|arp| {
        let sizes = (arp.hw_addr_size(), arp.proto_addr_size()) == (6, 4);
        let of_ipv4 = arp.proto_addr_type() == EtherType::IPV4;
        let ethernet = arp.hw_addr_type() == ArpHardwareId::ETHERNET;
        let asks_or_tells = matches!(arp.operation().0, 1 | 2);
        sizes && of_ipv4 && ethernet && asks_or_tells && arp.sender_protocol_addr()[0] < 224
    });
    let Some(arp) = arp else {
        ensure!(packet.is_err(), "a broken message is read");
        return Ok(false);
    };
    let kind = if arp.sender_hw_addr() == source {
        Kind::Arp
    } else {
        Kind::ForeignArp
    };
    let expected = Packet {
        kind,
        speaker: Address::v4(arp.sender_protocol_addr().try_into()?),
        subject: Address::v4(arp.target_protocol_addr().try_into()?),
    };
    same(packet, expected)
}

fn same(packet: Result<Packet, Drop>, expected: Packet) -> Result<bool> {
    let packet = packet.map_err(refused)?;
    ensure!(packet == expected, "{packet:?} is {expected:?}");
    Ok(true)
}
