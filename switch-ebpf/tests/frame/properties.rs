//! What holds for every frame.

use std::{
    cell::Cell,
    net::{Ipv4Addr, Ipv6Addr},
};

use etherparse::{ArpOperation, Icmpv6Type};
use proptest::{collection::vec, prelude::*, sample::Index};
use switch_ebpf::{
    abi::Drop,
    frame::{
        Bytes, Evidence, Frame, Kind, MAX_TAGS, Origin, Retag, TAG_LEN, TPID_8021AD, TPID_8021Q,
        Tag, Wire, retag_into,
    },
};

use super::{read, wire::*};

/// Bytes that tell whether more was asked for than is there.
struct Watched<'a> {
    bytes: &'a [u8],
    beyond: Cell<bool>,
}

impl Bytes for Watched<'_> {
    fn view<T: Wire>(&self, offset: usize) -> Option<&T> {
        let found = self.bytes.view(offset);
        self.beyond.set(self.beyond.get() || found.is_none());
        found
    }

    fn at<T: Wire>(&self, offset: usize) -> Option<T> {
        let found = self.bytes.at(offset);
        self.beyond.set(self.beyond.get() || found.is_none());
        found
    }
}

const TRUNCATED: [Drop; 6] = [
    Drop::EthernetTruncated,
    Drop::VlanTruncated,
    Drop::Ipv4Truncated,
    Drop::Ipv6Truncated,
    Drop::ArpTruncated,
    Drop::NdTruncated,
];

fn tag() -> impl Strategy<Value = Tag> {
    let tpid = prop_oneof![Just(TPID_8021Q), Just(TPID_8021AD)];
    (tpid, any::<u16>()).prop_map(|(tpid, tci)| Tag { tpid, tci })
}

fn tags() -> impl Strategy<Value = Vec<Tag>> {
    vec(tag(), 0..=MAX_TAGS)
}

fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    any::<[u8; 4]>().prop_map(Ipv4Addr::from)
}

fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u8; 16]>().prop_map(Ipv6Addr::from)
}

/// A frame of any kind the switch knows, with arbitrary fields that are valid.
fn good() -> impl Strategy<Value = Vec<u8>> {
    let payload = || vec(any::<u8>(), 0..64);
    let unicast = || ipv4().prop_filter("a sender is no multicast", |a| a.octets()[0] < 224);
    let target = || ipv6().prop_filter("a target is no multicast", |a| !a.is_multicast());
    let operation = prop_oneof![Just(ArpOperation::REQUEST), Just(ArpOperation::REPLY)];
    prop_oneof![
        (ipv4(), ipv4(), any::<Mac>(), payload())
            .prop_map(|(from, to, mac, payload)| udp4_between(from, to, mac, &payload)),
        (ipv6(), ipv6(), any::<Mac>(), payload())
            .prop_map(|(from, to, mac, payload)| udp6_between(from, to, mac, &payload)),
        (operation, unicast(), any::<Mac>(), ipv4())
            .prop_map(|(operation, spa, tha, tpa)| arp(operation, spa, tha, tpa)),
        (ipv6(), target()).prop_map(|(from, target)| solicitation(from, target)),
        (any::<bool>(), target(), target())
            .prop_map(|(solicited, to, target)| advertisement(solicited, to, target)),
        Just(rarp()),
        (any::<Mac>(), 0_u16..0x0800, payload())
            .prop_map(|(to, other, payload)| ethernet(to, VM_MAC, other, &payload)),
    ]
}

/// Bytes from a hostile wire: noise, or a good frame with some bytes changed and its end cut off.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let mangled = (
        tags(),
        good(),
        vec((any::<Index>(), any::<u8>()), 0..4),
        any::<Index>(),
        any::<bool>(),
    );
    prop_oneof![
        vec(any::<u8>(), 0..128),
        mangled.prop_map(|(tags, frame, changes, end, whole)| {
            let mut bytes = tagged(&tags, &frame);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if !whole {
                bytes.truncate(end.index(bytes.len() + 1));
            }
            bytes
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Whatever is on the wire, reading it does not panic and does not read beyond the frame: where
    /// more was asked for than is there, the frame is dropped as truncated.
    #[test]
    fn nothing_is_read_beyond_the_frame(bytes in wire(), longer in 0_usize..2_000) {
        let watched = Watched { bytes: &bytes, beyond: Cell::new(false) };
        // Also where the frame goes on in other buffers.
        for length in [bytes.len(), bytes.len() + longer, 0] {
            watched.beyond.set(false);
            let why = match Frame::read(&watched) {
                Ok(frame) => {
                    let packet = frame.packet(&watched, length);
                    if let Ok(packet) = &packet {
                        let _ = frame.origin(packet);
                        let _ = frame.target(packet);
                    }
                    packet.err()
                }
                Err(why) => Some(why),
            };
            let truncated = why.is_some_and(|why| TRUNCATED.contains(&why));
            prop_assert!(truncated || !watched.beyond.get(), "{why:?}");
        }
    }

    /// What is learned from a frame is an address that a VM can have, whatever is on the wire.
    #[test]
    fn only_a_vms_address_is_learned(bytes in wire()) {
        if let Ok((frame, packet)) = read(&bytes)
            && let Ok(Origin::Vm(address, _)) = frame.origin(&packet)
        {
            prop_assert!(address.is_vm());
            prop_assert_eq!(address, packet.speaker);
        }
    }

    /// Every beginning of a good frame that lacks a header is dropped as truncated, and is never
    /// read as anything else than the whole frame.
    #[test]
    fn the_beginning_of_a_frame_is_the_frame_or_truncated(tags in tags(), frame in good()) {
        let bytes = tagged(&tags, &frame);
        let whole = read(&bytes);
        for length in 0..bytes.len() {
            match read(&bytes[..length]) {
                Err(why) if TRUNCATED.contains(&why) => {}
                // What does not depend on the length: a message that is wrong, one without any.
                part => prop_assert_eq!(part, whole, "{} bytes", length),
            }
        }
    }

    /// An IP packet of any addresses reads back as them, and speaks for its source.
    #[test]
    fn ip_reads_back(
        from in ipv4(),
        to in ipv4(),
        from6 in ipv6(),
        to6 in ipv6(),
        mac: Mac,
        payload in vec(any::<u8>(), 0..64),
    ) {
        let cases = [
            (udp4_between(from, to, mac, &payload), v4(from), v4(to)),
            (udp6_between(from6, to6, mac, &payload), v6(from6), v6(to6)),
        ];
        for (bytes, speaker, subject) in cases {
            let (frame, packet) = read(&bytes).expect("a frame");
            prop_assert_eq!((frame.destination, frame.source), (mac, VM_MAC));
            prop_assert_eq!(packet.kind, Kind::Ip);
            prop_assert_eq!((packet.speaker, packet.subject), (speaker, subject));
            if !frame.is_link_control() {
                let vm = Origin::Vm(speaker, Evidence::Data);
                let expected = if speaker.is_vm() { vm } else { Origin::Nobody };
                prop_assert_eq!(frame.origin(&packet), Ok(expected));
            }
        }
    }

    /// An ARP message of any sender and target reads back as them; where both are the same it
    /// announces, else it is ordinary traffic.
    #[test]
    fn arp_reads_back(spa in ipv4(), tpa in ipv4(), same: bool, tha: Mac, reply: bool) {
        let tpa = if same { spa } else { tpa };
        let operation = if reply { ArpOperation::REPLY } else { ArpOperation::REQUEST };
        let bytes = arp(operation, spa, tha, tpa);
        if spa.octets()[0] >= 224 {
            prop_assert_eq!(read(&bytes), Err(Drop::ArpMalformed));
            return Ok(());
        }
        let (frame, packet) = read(&bytes).expect("a frame");
        prop_assert_eq!(packet.kind, Kind::Arp);
        prop_assert_eq!((packet.speaker, packet.subject), (v4(spa), v4(tpa)));
        let evidence = if spa == tpa { Evidence::Announce } else { Evidence::Data };
        let vm = Origin::Vm(v4(spa), evidence);
        let expected = if v4(spa).is_vm() { vm } else { Origin::Nobody };
        prop_assert_eq!(frame.origin(&packet), Ok(expected));
    }

    /// A neighbour message of any addresses reads back as them: a solicitation speaks for its
    /// source, an advertisement for its target.
    #[test]
    fn neighbour_discovery_reads_back(
        from in ipv6(),
        target in ipv6(),
        to in ipv6(),
        solicited: bool,
        rest in vec(any::<u8>(), 0..32),
    ) {
        let ask = neighbour(Icmpv6Type::NeighborSolicitation, from, to, target, &rest);
        let tell = advertisement(solicited, to, target);
        if target.is_multicast() {
            prop_assert_eq!(read(&ask), Err(Drop::NdMalformed));
            prop_assert_eq!(read(&tell), Err(Drop::NdMalformed));
            return Ok(());
        }
        let (_, packet) = read(&ask).expect("a frame");
        prop_assert_eq!(packet.kind, Kind::Solicitation);
        prop_assert_eq!((packet.speaker, packet.subject), (v6(from), v6(target)));
        if solicited && to.is_multicast() {
            prop_assert_eq!(read(&tell), Err(Drop::NdMalformed));
            return Ok(());
        }
        let (_, packet) = read(&tell).expect("a frame");
        let kind = if solicited { Kind::Advertisement } else { Kind::UnsolicitedAdvertisement };
        prop_assert_eq!(packet.kind, kind);
        prop_assert_eq!((packet.speaker, packet.subject), (v6(target), v6(to)));
    }

    /// Tags in front change nothing of the packet: same addresses, or dropped for the same reason.
    #[test]
    fn tags_in_front_change_nothing(tags in tags(), frame in good()) {
        let bytes = tagged(&tags, &frame);
        let head = Frame::read(&*bytes).expect("a frame");
        prop_assert_eq!(head.outer(), tags.first().copied());
        prop_assert_eq!(head.network_offset, ETHERNET + TAG_LEN * tags.len());
        prop_assert_eq!(read(&bytes).map(|read| read.1), read(&frame).map(|read| read.1));
    }

    /// A push and then a pop leave the frame as it was, byte for byte.
    #[test]
    fn pop_undoes_push(tag in tag(), tags in tags(), frame in good()) {
        let bytes = tagged(&tags, &frame);
        let (mut pushed, mut popped) = (Vec::new(), Vec::new());
        retag_into(&bytes, Retag::Push(tag), &mut pushed);
        prop_assert_eq!(&pushed[12..16], tag.to_bytes());
        retag_into(&pushed, Retag::Pop, &mut popped);
        prop_assert_eq!(popped, bytes);
    }

    /// A rewrite keeps the outer tag's PCP and DEI, the MACs and everything behind the tag.
    #[test]
    fn a_rewrite_changes_the_tpid_and_vlan_id_only(
        tag in tag(),
        inner in vec(tag(), 0..MAX_TAGS),
        frame in good(),
        egress in tag(),
    ) {
        let bytes = tagged(&[vec![tag], inner].concat(), &frame);
        let change = Retag::between(Some(tag), true, Some((egress.tpid, egress.vid())));
        let mut out = Vec::new();
        retag_into(&bytes, change, &mut out);
        let outer = Frame::read(&*out).expect("a frame").outer().expect("a tag");
        prop_assert_eq!((outer.tpid, outer.vid()), (egress.tpid, egress.vid()));
        prop_assert_eq!(outer.tci >> 12, tag.tci >> 12, "PCP and DEI");
        prop_assert_eq!(&out[..12], &bytes[..12]);
        prop_assert_eq!(&out[16..], &bytes[16..]);
    }

    /// A frame grows by exactly what `growth` says, and leaves with the tag of its egress: the same
    /// packet, with the tags that are carried through behind it.
    #[test]
    fn a_frame_leaves_with_the_tag_of_its_egress(
        tags in vec(tag(), 0..MAX_TAGS),
        own: bool,
        egress in proptest::option::of(tag()),
        frame in good(),
    ) {
        let bytes = tagged(&tags, &frame);
        let own = own && !tags.is_empty();
        let leg = egress.map(|tag| (tag.tpid, tag.vid()));
        let change = Retag::between(tags.first().copied(), own, leg);
        let mut out = Vec::new();
        retag_into(&bytes, change, &mut out);
        prop_assert_eq!(out.len(), bytes.len().wrapping_add_signed(change.growth()));

        let carried = &tags[usize::from(own)..];
        let head = Frame::read(&*out).expect("a frame");
        prop_assert_eq!(
            head.outer().map(|tag| (tag.tpid, tag.vid())),
            leg.or(carried.first().map(|tag| (tag.tpid, tag.vid())))
        );
        let inner = ETHERNET - 2 + TAG_LEN * usize::from(leg.is_some());
        let behind = tagged(carried, &frame);
        prop_assert_eq!(&out[inner..], &behind[ETHERNET - 2..]);
        prop_assert_eq!(read(&out).map(|read| read.1), read(&frame).map(|read| read.1));
    }
}
