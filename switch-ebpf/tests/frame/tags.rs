//! VLAN tags in front of a packet, and changing the outer one.

use switch_ebpf::{
    abi::Drop,
    frame::{Frame, MAX_TAGS, Retag, TAG_LEN, TPID_8021AD, TPID_8021Q, Tag, retag_into},
};

use super::{cut, read, wire::*};

const fn c(tci: u16) -> Tag {
    Tag {
        tpid: TPID_8021Q,
        tci,
    }
}

const fn s(tci: u16) -> Tag {
    Tag {
        tpid: TPID_8021AD,
        tci,
    }
}

/// Tags as they occur: none, one of either kind, Q-in-Q in both orders, three of a kind.
const STACKS: [&[Tag]; 8] = [
    &[],
    &[c(0x6001)],
    &[s(0xf002)],
    &[s(2), c(3)],
    &[c(2), s(3)],
    &[c(2), c(2)],
    &[c(1), c(2), c(3)],
    &[s(1), s(2), c(0)],
];

#[test]
fn none_to_three_tags_are_read_through() {
    for plain in [udp4(b"x"), udp6(b"x"), rarp()] {
        let expected = read(&plain).expect("a frame");
        for tags in STACKS {
            let (frame, packet) = read(&tagged(tags, &plain)).expect("a frame");
            assert_eq!(packet, expected.1, "{tags:x?}");
            assert_eq!(frame.outer(), tags.first().copied());
            assert_eq!(frame.network_offset, ETHERNET + tags.len() * TAG_LEN);
            assert_eq!(frame.ethertype, expected.0.ethertype);
            assert_eq!(
                (frame.destination, frame.source),
                (expected.0.destination, VM_MAC)
            );
        }
    }
}

#[test]
fn a_fourth_tag_is_one_too_many() {
    for tpid in [TPID_8021Q, TPID_8021AD] {
        for count in MAX_TAGS + 1..MAX_TAGS + 4 {
            let tags = vec![Tag { tpid, tci: 1 }; count];
            assert_eq!(read(&tagged(&tags, &udp4(b"x"))), Err(Drop::VlanTooDeep));
        }
    }
}

/// The outermost tag is carried through as well where it is nobody's own.
#[test]
fn two_tags_are_carried_through() {
    for (tags, own_tag, expected) in [
        (&[][..], false, Ok(())),
        (&[c(1)], true, Ok(())),
        (&[c(1), s(2), c(3)], true, Ok(())),
        (&[c(1), s(2), c(3), c(4)], true, Err(Drop::VlanTooDeep)),
        (&[c(1), s(2)], false, Ok(())),
        (&[c(1), s(2), c(3)], false, Err(Drop::VlanTooDeep)),
    ] {
        let bytes = tagged(tags, &udp4(b"x"));
        let mut frame = Frame::read_outer(&*bytes).expect("an outer tag, or none");
        assert_eq!(frame.read_carried(&*bytes, own_tag), expected, "{tags:x?}");
    }
}

#[test]
fn other_ethertypes_are_no_tags() {
    // The TPIDs that some vendors took before 802.1ad.
    for ethertype in [0x9100, 0x9200, 0x88e7] {
        let bytes = ethernet(PC_MAC, VM_MAC, ethertype, &udp4(b"x")[ETHERNET - 2..]);
        let (frame, _) = read(&bytes).expect("a frame");
        assert_eq!((frame.outer(), frame.ethertype), (None, ethertype));
    }
}

#[test]
fn a_frame_cut_off_within_its_tags_is_truncated() {
    for tags in STACKS {
        let tags_end = ETHERNET + tags.len() * TAG_LEN;
        let bytes = tagged(tags, &udp4(b"x"));
        cut(
            &bytes,
            &[
                (ETHERNET, Drop::EthernetTruncated),
                (tags_end, Drop::VlanTruncated),
                (bytes.len(), Drop::Ipv4Truncated),
            ],
        );
    }
}

#[test]
fn too_many_tags_are_found_before_the_end_of_the_last() {
    // Whether a fourth tag is whole does not matter.
    let bytes = tagged(&[c(1); 4], &udp4(b"x"));
    for length in ETHERNET + 3 * TAG_LEN..bytes.len() {
        assert_eq!(Frame::read(&bytes[..length]), Err(Drop::VlanTooDeep));
    }
}

#[test]
fn a_tag_has_a_priority_and_a_vlan_id() {
    assert_eq!(c(0xefff).vid(), 0x0fff);
    assert_eq!(c(0xe000).vid(), 0, "a priority only");
    assert_eq!(s(0x7abc).to_bytes(), [0x88, 0xa8, 0x7a, 0xbc]);
}

#[test]
fn only_the_attachments_own_tag_is_taken_away() {
    let out = Some((TPID_8021AD, 9));
    let (none, tag) = (None, Some(c(0xb001)));
    let cases = [
        (none, false, None, Retag::Keep),
        (none, false, out, Retag::Push(s(9))),
        (tag, true, None, Retag::Pop),
        (tag, true, out, Retag::Rewrite(s(0xb009))),
        (tag, false, None, Retag::Keep),
        (tag, false, out, Retag::Push(s(9))),
    ];
    for (outer, own, egress, expected) in cases {
        assert_eq!(Retag::between(outer, own, egress), expected);
    }
}

#[test]
fn retagging_a_frame_that_is_too_short_for_it_does_no_harm() {
    let bytes: Vec<u8> = (0..16).collect();
    for length in 0..bytes.len() {
        let mut out = Vec::new();
        retag_into(&bytes[..length], Retag::Pop, &mut out);
        assert_eq!(out, bytes[..length.min(12)], "{length} bytes");
    }
}

#[test]
fn the_frame_is_appended() {
    let mut out = vec![1, 2, 3];
    retag_into(&udp4(b"x"), Retag::Keep, &mut out);
    assert_eq!(out[..3], [1, 2, 3]);
    assert_eq!(out[3..], udp4(b"x"));
}
