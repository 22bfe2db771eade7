//! Frames and records of the rings, read on the host by the very code that runs in the kernel.

use anyhow::{Context, Result, ensure};
use etherparse::{EtherType, LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use fastrand::Rng;
use lab::frame::tagged;
use switch_ebpf::{
    abi::{MissHeader, gateway::Notice},
    frame::{Address, Frame, Kind, MAX_TAGS, Origin, TAG_LEN},
    learning_packet::{self, LearningPacket},
};

use crate::{campaign, frames, mutate::mutate};

/// Frames in a round.
const FRAMES: usize = 1_000;

#[test]
fn frames_are_read_as_by_others() -> Result<()> {
    let mut agreed = 0_u64;
    campaign::run("reading frames", 50, |rng| {
        for _ in 0..FRAMES {
            let bytes = wire(rng);
            let same = read(&bytes).with_context(|| format!("{} bytes {bytes:02x?}", bytes.len()));
            agreed += u64::from(same?);
        }
        Ok(())
    })?;
    // Or nothing would have been compared.
    ensure!(agreed > 0, "etherparse accepts none of the frames");
    println!("reading frames: {agreed} were read by etherparse too");
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

/// Reads a frame in every way there is, and says whether etherparse reads it too. Then both agree.
fn read(bytes: &[u8]) -> Result<bool> {
    let _ = LearningPacket::parse(bytes);
    let read = Frame::read(bytes);
    if let Ok(frame) = &read {
        let _ = learning_packet::read(bytes, frame);
        // A frame that goes on in further buffers, and one of which less is there than is said.
        for length in [bytes.len(), bytes.len() + 5_000, 0] {
            if let Ok(packet) = frame.packet(bytes, length) {
                let target = frame.target(&packet);
                ensure!(frame.origin(&packet).is_err() || !frame.is_link_control());
                ensure!(target.is_err() || !frame.is_link_control());
                if let Ok(Origin::Vm(address, _)) = frame.origin(&packet) {
                    ensure!(address.is_vm(), "{address:?} is learned");
                }
            }
        }
        let _ = frame.is_rarp_announcement(bytes);
    }
    let Ok(other) = SlicedPacket::from_ethernet(bytes) else {
        return Ok(false);
    };
    if other.link_exts.iter().any(|ext| !is_tag(ext)) {
        // MACsec, which is any other ethertype to us.
        return Ok(false);
    }
    agree(bytes, read.ok(), &other)
}

fn is_tag(ext: &LinkExtSlice<'_>) -> bool {
    matches!(ext, LinkExtSlice::Vlan(tag) if tag.slice().len() >= TAG_LEN)
}

fn agree(bytes: &[u8], read: Option<Frame>, other: &SlicedPacket<'_>) -> Result<bool> {
    // None where there is no payload, or one that etherparse reads itself.
    let ethertype = other.payload_ether_type();
    // 0x9100 announces a tag to etherparse; and it takes three tags and leaves what follows.
    let before = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let offset = 14 + TAG_LEN * other.link_exts.len();
    if (0..other.link_exts.len()).any(|n| before(12 + TAG_LEN * n) == 0x9100) {
        return Ok(false);
    }
    if other.link_exts.len() == MAX_TAGS && switch_ebpf::frame::Tag::is_tpid(before(offset - 2)) {
        ensure!(read.is_none(), "a fourth tag is not seen");
        return Ok(false);
    }
    let frame = read.context("etherparse reads the Ethernet header and the tags")?;
    ensure!(frame.network_offset == offset, "the offset is {offset}");
    ensure!(
        ethertype.is_none_or(|other| other == EtherType(frame.ethertype)),
        "the ethertype is {ethertype:?}"
    );
    let packet = frame.packet(bytes, bytes.len());
    match &other.net {
        Some(NetSlice::Ipv4(v4)) => {
            let header = v4.header();
            let packet = packet.map_err(|why| anyhow::anyhow!("{}", why.name()))?;
            ensure!(packet.kind == Kind::Ip);
            ensure!(packet.speaker == Address::v4(header.source()));
            ensure!(packet.subject == Address::v4(header.destination()));
        }
        Some(NetSlice::Ipv6(v6)) => {
            let header = v6.header();
            // Neighbour discovery has rules of its own, which are not etherparse's.
            let ndp = matches!(&other.transport, Some(TransportSlice::Icmpv6(icmp)) if matches!(icmp.type_u8(), 135 | 136));
            let Ok(packet) = packet else {
                ensure!(
                    ndp || header.next_header().0 == 58,
                    "an IPv6 packet is refused"
                );
                return Ok(true);
            };
            let (source, destination) = (
                Address::v6(header.source()),
                Address::v6(header.destination()),
            );
            match packet.kind {
                Kind::Ip => {
                    ensure!((packet.speaker, packet.subject) == (source, destination));
                    ensure!(
                        !ndp || header.next_header().0 != 58,
                        "a neighbour is missed"
                    );
                }
                Kind::Solicitation => ensure!(ndp && packet.speaker == source),
                _ => ensure!(ndp && packet.subject == destination),
            }
        }
        Some(NetSlice::Arp(arp)) => {
            let Ok(packet) = packet else {
                return Ok(true);
            };
            ensure!(matches!(packet.kind, Kind::Arp | Kind::ForeignArp));
            let (sender, target) = (arp.sender_protocol_addr(), arp.target_protocol_addr());
            let v4 = |bytes: &[u8]| anyhow::Ok(Address::v4(bytes.try_into()?));
            ensure!((packet.speaker, packet.subject) == (v4(sender)?, v4(target)?));
            let own = arp.sender_hw_addr() == frame.source;
            ensure!((packet.kind == Kind::Arp) == own);
        }
        None => ensure!(packet.is_ok(), "what is no IP and no ARP is refused"),
    }
    Ok(true)
}
