//! The learning packet: what a gateway sends for an idle VM, so that the switch sees it speak.
//!
//! It is an IPv4 or IPv6 packet from the VM's address, UDP to the discard port, so that any switch
//! that learns from ordinary packets learns from it. Its payload says what it is:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | [`MAGIC`] |
//! | 4 | 1 | [`VERSION`] |
//! | 5 | 1 | what it rests on: [`Announcement`] |
//! | 6 | 1 | flags: [`FLAG_SIGNED`] |
//! | 7 | 1 | zero |
//! | 8 | 4 | the gateway's id |
//! | 12 | 8 | sequence number, never the same twice from one gateway |
//! | 20 | 6 | the VM's MAC |
//! | 26 | 6 | zeroes |
//! | 32 | 32 | HMAC-SHA-256 of [`signed_content`](LearningPacket::signed_content), zeroes if unsigned |
//!
//! Everything is in network byte order. What follows is ignored.

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::frame::{Address, Bytes, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Frame, Wire};

/// The first bytes of the payload.
pub const MAGIC: [u8; 4] = *b"VMLP";
/// The only version there is.
pub const VERSION: u8 = 1;
/// The UDP port that it is sent to: discard (RFC 863).
pub const UDP_PORT: u16 = 9;
/// The packet carries an authentication tag.
pub const FLAG_SIGNED: u8 = 1;
/// Bytes of the authentication tag.
pub const TAG_LEN: usize = 32;
/// Bytes of the payload in front of the authentication tag.
pub const HEADER_LEN: usize = size_of::<LearningPacket>() - TAG_LEN;
/// Bytes that the authentication tag is computed over.
pub const SIGNED_LEN: usize = HEADER_LEN + size_of::<Address>();

const PROTOCOL_UDP: u8 = 17;
/// The first byte of an IPv4 header of 20 bytes.
const VERSION_4_NO_OPTIONS: u8 = 0x45;
const UDP_HEADER_LEN: usize = 8;
/// IPv4: "more fragments", and the fragment's offset (RFC 791 §3.1).
const FRAGMENT_MASK: u16 = 0x3fff;

/// The announcement that a learning packet rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Announcement {
    /// An ARP announcement, in the form of a request or of a reply (RFC 5227 §3).
    Arp,
    /// An unsolicited neighbour advertisement with the override flag (RFC 4861 §7.2.6).
    Advertisement,
    /// One without, which proxies and anycast addresses send too.
    WeakAdvertisement,
    /// RARP, which names a MAC only: the addresses are those that the gateway knows of it.
    Rarp,
    /// Something that this version does not know.
    Unknown(u8),
}

impl From<u8> for Announcement {
    fn from(value: u8) -> Self {
        match value {
            1 => Self::Arp,
            2 => Self::Advertisement,
            3 => Self::WeakAdvertisement,
            4 => Self::Rarp,
            other => Self::Unknown(other),
        }
    }
}

impl From<Announcement> for u8 {
    fn from(announcement: Announcement) -> Self {
        match announcement {
            Announcement::Arp => 1,
            Announcement::Advertisement => 2,
            Announcement::WeakAdvertisement => 3,
            Announcement::Rarp => 4,
            Announcement::Unknown(other) => other,
        }
    }
}

/// The payload of a learning packet, as it is on the wire.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
pub struct LearningPacket {
    magic: [u8; 4],
    version: u8,
    announcement: u8,
    flags: u8,
    reserved: u8,
    gateway: [u8; 4],
    sequence: [u8; 8],
    mac: [u8; 6],
    padding: [u8; 6],
    tag: [u8; TAG_LEN],
}

// SAFETY: `repr(C)`, and the derives above prove that it is valid for any bytes and has no padding.
unsafe impl Wire for LearningPacket {}

/// Why the payload of a learning packet cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends too soon.
    Truncated,
    /// It does not begin with [`MAGIC`].
    Magic,
    /// It is of a version that is not known.
    Version(u8),
    /// It has a flag that is not known: what it means may change what the rest means.
    Flags(u8),
}

impl LearningPacket {
    /// An unsigned packet.
    pub fn new(announcement: Announcement, gateway: u32, sequence: u64, mac: [u8; 6]) -> Self {
        Self {
            magic: MAGIC,
            version: VERSION,
            announcement: announcement.into(),
            flags: 0,
            reserved: 0,
            gateway: gateway.to_be_bytes(),
            sequence: sequence.to_be_bytes(),
            mac,
            padding: [0; 6],
            tag: [0; TAG_LEN],
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let (packet, _) = Self::read_from_prefix(payload).map_err(|_| Malformed::Truncated)?;
        packet.check()
    }

    const fn check(self) -> Result<Self, Malformed> {
        let [a, b, c, d] = self.magic;
        if u32::from_be_bytes([a, b, c, d]) != u32::from_be_bytes(MAGIC) {
            Err(Malformed::Magic)
        } else if self.version != VERSION {
            Err(Malformed::Version(self.version))
        } else if self.flags & !FLAG_SIGNED != 0 {
            Err(Malformed::Flags(self.flags))
        } else {
            Ok(self)
        }
    }

    /// What it rests on.
    pub fn announcement(&self) -> Announcement {
        self.announcement.into()
    }

    /// The id of the gateway that sent it.
    pub const fn gateway(&self) -> u32 {
        u32::from_be_bytes(self.gateway)
    }

    /// Its sequence number.
    pub const fn sequence(&self) -> u64 {
        u64::from_be_bytes(self.sequence)
    }

    /// The VM's MAC.
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The authentication tag, or nothing where it is not signed.
    pub fn tag(&self) -> Option<&[u8; TAG_LEN]> {
        (self.flags & FLAG_SIGNED != 0).then_some(&self.tag)
    }

    /// The bytes that the authentication tag is computed over, for both sides: the payload in front
    /// of the tag, with [`FLAG_SIGNED`] set, and the VM's address as [`Address`] holds it.
    pub fn signed_content(&self, source: &Address) -> [u8; SIGNED_LEN] {
        let signed = Self {
            flags: self.flags | FLAG_SIGNED,
            ..*self
        };
        let mut content = [0; SIGNED_LEN];
        content[..HEADER_LEN].copy_from_slice(&signed.as_bytes()[..HEADER_LEN]);
        content[HEADER_LEN..].copy_from_slice(source.as_bytes());
        content
    }

    /// The same packet with an authentication tag.
    pub const fn signed(self, tag: [u8; TAG_LEN]) -> Self {
        Self {
            flags: self.flags | FLAG_SIGNED,
            tag,
            ..self
        }
    }
}

/// Where the payload of a learning packet is in a frame, or nothing where it is none: UDP to the
/// discard port, whole, and beginning with [`MAGIC`]. Whether the payload can be read is for
/// [`read`] to say.
///
/// `bytes` needs no more than the headers and the magic, and nothing is allocated or looped over, so
/// that an XDP program can ask.
#[inline(always)]
pub fn find<B: Bytes + ?Sized>(bytes: &B, frame: &Frame) -> Option<usize> {
    let network = frame.network_offset;
    // The two families apart to the end: merged, the offset would have bounds that the verifier
    // cannot follow. For the same reason a packet with IPv4 options is none; no gateway sends them.
    match frame.ethertype {
        ETHERTYPE_IPV4 => {
            let header: &Ipv4Hdr = bytes.view(network)?;
            let fragment = u16::from_be_bytes(header.frags.load()) & FRAGMENT_MASK != 0;
            if header.vihl != VERSION_4_NO_OPTIONS || header.proto != PROTOCOL_UDP || fragment {
                return None;
            }
            find_in_udp(bytes, network + Ipv4Hdr::LEN)
        }
        ETHERTYPE_IPV6 => {
            let header: &Ipv6Hdr = bytes.view(network)?;
            if header.next_hdr != PROTOCOL_UDP {
                return None;
            }
            find_in_udp(bytes, network + Ipv6Hdr::LEN)
        }
        _ => None,
    }
}

#[inline(always)]
fn find_in_udp<B: Bytes + ?Sized>(bytes: &B, udp: usize) -> Option<usize> {
    let port: [u8; 2] = bytes.at(udp + 2)?;
    if u16::from_be_bytes(port) != UDP_PORT {
        return None;
    }
    let magic: [u8; 4] = bytes.at(udp + UDP_HEADER_LEN)?;
    (magic == MAGIC).then_some(udp + UDP_HEADER_LEN)
}

/// Reads the learning packet in a frame; nothing where it has none.
///
/// # Errors
/// It is one, but cannot be read.
pub fn read<B: Bytes + ?Sized>(
    bytes: &B,
    frame: &Frame,
) -> Option<Result<LearningPacket, Malformed>> {
    let payload = find(bytes, frame)?;
    // What the UDP header says counts, not what a link with a least length filled the frame up with.
    let length: [u8; 2] = bytes.at(payload - UDP_HEADER_LEN + 4)?;
    if usize::from(u16::from_be_bytes(length)) < UDP_HEADER_LEN + size_of::<LearningPacket>() {
        return Some(Err(Malformed::Truncated));
    }
    Some(match bytes.at::<LearningPacket>(payload) {
        Some(packet) => packet.check(),
        None => Err(Malformed::Truncated),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
    #[rustfmt::skip]
    const WIRE: [u8; 64] = [
        b'V', b'M', b'L', b'P', 1, 4, 1, 0, 0xde, 0xad, 0xbe, 0xef,
        1, 2, 3, 4, 5, 6, 7, 8, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0,
        9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
        9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
    ];

    fn packet() -> LearningPacket {
        LearningPacket::new(Announcement::Rarp, 0xdead_beef, 0x0102_0304_0506_0708, MAC)
    }

    #[test]
    fn emit_and_parse_are_twins() {
        let signed = packet().signed([9; 32]);
        assert_eq!(signed.as_bytes(), WIRE);
        let parsed = LearningPacket::parse(&WIRE).expect("a learning packet");
        assert_eq!(parsed, signed);
        assert_eq!(parsed.announcement(), Announcement::Rarp);
        assert_eq!(parsed.gateway(), 0xdead_beef);
        assert_eq!(parsed.sequence(), 0x0102_0304_0506_0708);
        assert_eq!(parsed.mac(), MAC);
        assert_eq!(parsed.tag(), Some(&[9; 32]));
        assert_eq!(packet().tag(), None);
    }

    #[test]
    fn what_is_signed() {
        let address = Address::v4([10, 0, 0, 5]);
        let content = packet().signed_content(&address);
        assert_eq!(content[..32], WIRE[..32]);
        assert_eq!(
            content[32..],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 5]
        );
        // The same on the side that checks it.
        assert_eq!(packet().signed([7; 32]).signed_content(&address), content);
    }

    #[test]
    fn what_cannot_be_read() {
        let with = |at: usize, value: u8| {
            let mut wire = WIRE;
            wire[at] = value;
            LearningPacket::parse(&wire)
        };
        assert_eq!(with(0, b'v'), Err(Malformed::Magic));
        assert_eq!(with(4, 2), Err(Malformed::Version(2)));
        assert_eq!(with(6, 3), Err(Malformed::Flags(3)));
        assert_eq!(
            with(5, 200).map(|packet| packet.announcement()),
            Ok(Announcement::Unknown(200))
        );
        for length in 0..WIRE.len() {
            assert_eq!(
                LearningPacket::parse(&WIRE[..length]),
                Err(Malformed::Truncated)
            );
        }
        let longer = [&WIRE[..], &[1]].concat();
        assert!(LearningPacket::parse(&longer).is_ok());
    }

    fn frame(source: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
        let ethernet = PacketBuilder::ethernet2(MAC, [2; 6]);
        let builder = match source {
            IpAddr::V4(v4) => ethernet.ipv4(v4.octets(), [10, 0, 0, 1], 64),
            IpAddr::V6(v6) => ethernet.ipv6(v6.octets(), [1; 16], 64),
        };
        let mut frame = Vec::new();
        builder
            .udp(UDP_PORT, port)
            .write(&mut frame, payload)
            .expect("a frame");
        frame
    }

    fn read_from(frame: &[u8]) -> Option<Result<LearningPacket, Malformed>> {
        read(frame, &Frame::read(frame).expect("a frame"))
    }

    const SOURCES: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5)),
    ];

    #[test]
    fn found_in_a_frame() {
        for source in SOURCES {
            let found = frame(source, UDP_PORT, &WIRE);
            assert_eq!(read_from(&found), Some(LearningPacket::parse(&WIRE)));
            // Another port, and another payload on the discard port, are ordinary traffic.
            assert_eq!(read_from(&frame(source, 10, &WIRE)), None);
            assert_eq!(read_from(&frame(source, UDP_PORT, b"VML")), None);
            assert_eq!(read_from(&frame(source, UDP_PORT, &[0; 64])), None);
            // A short one in a frame that a link has filled up to its least length.
            let mut short = frame(source, UDP_PORT, &WIRE[..20]);
            short.extend([0; 64]);
            assert_eq!(read_from(&short), Some(Err(Malformed::Truncated)));
        }
    }

    #[test]
    fn not_in_a_fragment() {
        for (byte, value) in [(20, 0x20), (21, 1)] {
            let mut fragment = frame(SOURCES[0], UDP_PORT, &WIRE);
            fragment[byte] = value;
            assert_eq!(read_from(&fragment), None);
        }
        let mut whole = frame(SOURCES[0], UDP_PORT, &WIRE);
        whole[20] = 0x40; // Don't fragment.
        assert!(read_from(&whole).is_some());
    }

    #[test]
    fn not_behind_options_of_ipv4() {
        let mut bytes = frame(SOURCES[0], UDP_PORT, &WIRE);
        bytes[14] = 0x46;
        bytes[17] += 4;
        bytes.splice(34..34, [1, 1, 1, 0]);
        assert_eq!(read_from(&bytes), None);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            let _ = LearningPacket::parse(&bytes);
            if let Ok(frame) = Frame::read(bytes.as_slice()) {
                let _ = read(bytes.as_slice(), &frame);
            }
        }

        #[test]
        fn any_cut_of_a_frame_is_survived(cut in 14_usize..106) {
            let whole = frame(SOURCES[0], UDP_PORT, &WIRE);
            let expected = (cut >= 46).then_some(Err(Malformed::Truncated));
            prop_assert_eq!(read_from(&whole[..cut]), expected);
        }

        #[test]
        fn every_announcement_is_kept(value: u8) {
            prop_assert_eq!(u8::from(Announcement::from(value)), value);
        }
    }
}
