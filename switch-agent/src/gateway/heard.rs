//! Reading what was heard: announcements, and answers to questions.
//!
//! The datapath has picked these frames by their headers. Here they are read to the end, and
//! whatever is wrong with one anywhere, it says nothing.

use etherparse::{Icmpv6Slice, Icmpv6Type};
use switch_ebpf::{
    frame::{Address, ETHERTYPE_ARP, Frame, Kind},
    learning_packet::Announcement,
};

use crate::types::MacAddress;

/// Bytes of an IPv6 header.
const IPV6_LEN: usize = 40;
/// Bytes of a neighbour advertisement in front of its options.
const ADVERTISEMENT_LEN: usize = 24;
/// The option for the target's link-layer address (RFC 4861 §4.6.1).
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// A station that speaks for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The station.
    pub mac: MacAddress,
    /// How it speaks.
    pub announcement: Announcement,
    /// The address it announces. RARP has none.
    pub address: Option<Address>,
}

/// Reads a frame that may be an announcement; nothing where it is none, or malformed.
pub fn announcement(bytes: &[u8]) -> Option<Heard> {
    let frame = Frame::read(bytes).ok()?;
    let packet = frame.packet(bytes, bytes.len()).ok()?;
    let (announcement, address) = match packet.kind {
        Kind::Rarp if frame.is_rarp_announcement(bytes) => (Announcement::Rarp, None),
        Kind::Arp if packet.speaker == packet.subject => (Announcement::Arp, Some(packet.speaker)),
        Kind::UnsolicitedAdvertisement => {
            let Advertisement { is_override, names } = advertisement(bytes, &frame)?;
            // Nobody has asked by unicast, so that it must say for which MAC it speaks.
            if !names {
                return None;
            }
            let announcement = if is_override {
                Announcement::Advertisement
            } else {
                Announcement::WeakAdvertisement
            };
            (announcement, Some(packet.speaker))
        }
        _ => return None,
    };
    let heard = Heard {
        mac: MacAddress(frame.source),
        announcement,
        address,
    };
    address
        .is_none_or(|address| address.is_vm())
        .then_some(heard)
}

/// Reads a frame that may answer a question: who is at which address. Nothing where it is none, or
/// malformed.
pub fn answer(bytes: &[u8]) -> Option<(MacAddress, Address)> {
    let frame = Frame::read(bytes).ok()?;
    let packet = frame.packet(bytes, bytes.len()).ok()?;
    match packet.kind {
        Kind::Arp if is_reply(bytes, &frame) => {}
        Kind::Advertisement | Kind::UnsolicitedAdvertisement => {
            advertisement(bytes, &frame)?;
        }
        _ => return None,
    }
    Some((MacAddress(frame.source), packet.speaker))
}

fn is_reply(bytes: &[u8], frame: &Frame) -> bool {
    debug_assert_eq!(frame.ethertype, ETHERTYPE_ARP);
    let operation = frame.network_offset + 6;
    bytes.get(operation..operation + 2) == Some(&[0, 2])
}

/// What a neighbour advertisement says.
struct Advertisement {
    /// The override flag.
    is_override: bool,
    /// Whether it names the frame's source as the address's MAC. Whoever answers a question that was
    /// put to it alone may leave that out (RFC 4861 §7.2.4).
    names: bool,
}

/// Checks an advertisement beyond its headers (RFC 4861 §7.1.2): the checksum, the options, and that
/// it speaks for no other MAC than the frame's source.
fn advertisement(bytes: &[u8], frame: &Frame) -> Option<Advertisement> {
    let ip = bytes.get(frame.network_offset..)?;
    let header = ip.first_chunk::<IPV6_LEN>()?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = ip.get(IPV6_LEN..IPV6_LEN + length)?;
    let (source, destination) = (
        header[8..24].try_into().ok()?,
        header[24..].try_into().ok()?,
    );
    let icmp = Icmpv6Slice::from_slice(message).ok()?;
    if !icmp.is_checksum_valid(source, destination) {
        return None;
    }
    let Icmpv6Type::NeighborAdvertisement(flags) = icmp.icmp_type() else {
        return None;
    };
    let names = names_source(message.get(ADVERTISEMENT_LEN..)?, frame.source)?;
    Some(Advertisement {
        is_override: flags.r#override,
        names,
    })
}

/// Whether options say that the target's link-layer address is `source`. Nothing where they say that
/// it is another, or where an option runs past the end.
fn names_source(mut options: &[u8], source: [u8; 6]) -> Option<bool> {
    let mut names = false;
    while let [kind, length, ..] = *options {
        let (option, rest) = options.split_at_checked(usize::from(length) * 8)?;
        // An option of length 0 has no end (RFC 4861 §4.6).
        let value = option.get(2..)?;
        if kind == TARGET_LINK_LAYER_ADDRESS {
            // On Ethernet it has 6 bytes (RFC 2464 §6).
            if value != source {
                return None;
            }
            names = true;
        }
        options = rest;
    }
    options.is_empty().then_some(names)
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, icmpv6::NeighborAdvertisementHeader};
    use proptest::prelude::*;

    use super::*;

    const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0, 0, 13]);
    const V4: [u8; 4] = [10, 0, 0, 13];
    const V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13];
    const OPTION: [u8; 8] = [2, 1, 0x52, 0x54, 0, 0, 0, 13];

    fn arp(operation: u8, sender: [u8; 4], target_mac: [u8; 6], target: [u8; 4]) -> Vec<u8> {
        [
            &[0xff; 6][..],
            &MAC.0,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation],
            &MAC.0,
            &sender,
            &target_mac,
            &target,
        ]
        .concat()
    }

    fn na(target: [u8; 16], flags: (bool, bool), hops: u8, options: &[u8]) -> Vec<u8> {
        let header = NeighborAdvertisementHeader {
            router: false,
            solicited: flags.0,
            r#override: flags.1,
        };
        let to = if flags.0 {
            [0xfd; 16]
        } else {
            [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        };
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(MAC.0, [0x33, 0x33, 0, 0, 0, 1])
            .ipv6(V6, to, hops)
            .icmpv6(Icmpv6Type::NeighborAdvertisement(header))
            .write(&mut frame, &[&target, options].concat())
            .expect("a frame");
        frame
    }

    fn heard(announcement: Announcement, address: Address) -> Option<Heard> {
        Some(Heard {
            mac: MAC,
            announcement,
            address: Some(address),
        })
    }

    #[test]
    fn arp_in_each_form() {
        for operation in [1, 2] {
            for target_mac in [[0; 6], MAC.0, [0xff; 6]] {
                assert_eq!(
                    announcement(&arp(operation, V4, target_mac, V4)),
                    heard(Announcement::Arp, Address::v4(V4))
                );
            }
        }
    }

    #[test]
    fn arp_that_announces_nothing() {
        let nothing: [(u8, [u8; 4], [u8; 4]); 7] = [
            (1, [0; 4], V4),
            (1, [0; 4], [0; 4]),
            (1, V4, [10, 0, 0, 1]),
            (2, V4, [10, 0, 0, 1]),
            (3, V4, V4),
            (1, [169, 254, 1, 1], [169, 254, 1, 1]),
            (1, [224, 0, 0, 1], [224, 0, 0, 1]),
        ];
        for (operation, sender, target) in nothing {
            assert_eq!(announcement(&arp(operation, sender, [0; 6], target)), None);
        }
        let good = arp(1, V4, [0; 6], V4);
        for length in 0..good.len() {
            assert_eq!(announcement(&good[..length]), None, "{length} bytes");
        }
        // htype, ptype, hlen, plen, the sender's MAC.
        for at in [15, 16, 18, 19, 22, 27] {
            let mut frame = good.clone();
            frame[at] ^= 0x40;
            assert_eq!(announcement(&frame), None, "byte {at}");
        }
    }

    #[test]
    fn advertisements() {
        for (o, expected) in [
            (true, Announcement::Advertisement),
            (false, Announcement::WeakAdvertisement),
        ] {
            let frame = na(V6, (false, o), 255, &OPTION);
            assert_eq!(announcement(&frame), heard(expected, Address::v6(V6)));
            // Options that are not known are stepped over.
            let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
            let frame = na(V6, (false, o), 255, &[nonce, OPTION].concat());
            assert_eq!(announcement(&frame), heard(expected, Address::v6(V6)));
        }
    }

    #[test]
    fn advertisements_that_announce_nothing() {
        let solicited = na(V6, (true, true), 255, &OPTION);
        assert_eq!(announcement(&solicited), None);
        assert_eq!(answer(&solicited), Some((MAC, Address::v6(V6))));
        let mut link_local = V6;
        link_local[..2].copy_from_slice(&[0xfe, 0x80]);
        let mut group = V6;
        group[0] = 0xff;
        let other = [2, 1, 2, 2, 2, 2, 2, 2];
        let twice = [OPTION, other].concat();
        let nothing = [
            ("hop limit", na(V6, (false, true), 254, &OPTION)),
            ("a group", na(group, (false, true), 255, &OPTION)),
            ("another MAC", na(V6, (false, true), 255, &other)),
            ("another MAC as well", na(V6, (false, true), 255, &twice)),
            ("past the end", na(V6, (false, true), 255, &OPTION[..6])),
            ("one byte", na(V6, (false, true), 255, &[2])),
            (
                "without length",
                na(V6, (false, true), 255, &[2, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (
                "too long",
                na(V6, (false, true), 255, &[2, 2, 0x52, 0x54, 0, 0, 0, 13]),
            ),
        ];
        for (what, frame) in nothing {
            assert_eq!(announcement(&frame), None, "{what}");
            assert_eq!(answer(&frame), None, "{what}");
        }
        // Who answers need not name its MAC; who announces must.
        let frame = na(V6, (false, true), 255, &[]);
        assert_eq!(announcement(&frame), None);
        assert_eq!(answer(&frame), Some((MAC, Address::v6(V6))));
        // A link-local address is no VM's, but may be a destination's.
        let frame = na(link_local, (false, true), 255, &OPTION);
        assert_eq!(announcement(&frame), None);
        assert_eq!(answer(&frame), Some((MAC, Address::v6(link_local))));
        let good = na(V6, (false, true), 255, &OPTION);
        for length in 0..good.len() {
            assert_eq!(announcement(&good[..length]), None, "{length} bytes");
        }
        let mut frame = good.clone();
        frame[56] ^= 1;
        assert_eq!(announcement(&frame), None, "checksum");
    }

    #[test]
    fn answers() {
        let reply = arp(2, V4, [9; 6], [169, 254, 1, 1]);
        assert_eq!(answer(&reply), Some((MAC, Address::v4(V4))));
        assert_eq!(answer(&arp(1, V4, [0; 6], [10, 0, 0, 1])), None);
        let defended = na(V6, (false, true), 255, &OPTION);
        assert_eq!(answer(&defended), Some((MAC, Address::v6(V6))));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            announcement(&bytes);
            answer(&bytes);
        }

        #[test]
        fn no_changed_bit_makes_another_announcement(at in 0_usize..86, bit in 0_u32..8) {
            let mut frame = na(V6, (false, true), 255, &OPTION);
            let before = announcement(&frame);
            frame[at] ^= 1 << bit;
            let after = announcement(&frame);
            // The Ethernet destination is not its business, nor are traffic class and flow label.
            let ignored = at < 6 || (14..18).contains(&at);
            prop_assert!(after.is_none() || (ignored && after == before));
        }
    }
}
