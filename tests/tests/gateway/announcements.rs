//! Each form of announcement, and what it makes the gateway tell the switch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use lab::{
    RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC},
    frame::{self, Arp, BROADCAST, Ndp, tagged},
};

use crate::{
    ID, SOON, Site, VM_IPV4, VM_IPV6, VM_MAC,
    told::{ARP, NA, Told, WEAK_NA},
};

const TO: [&str; 4] = ["--announce-to", "224.0.0.1", "--announce-to", "ff02::1"];
const TO_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const TO_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

#[test]
fn each_form_is_told_five_times() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let mut expected: Vec<(IpAddr, u8)> = Vec::new();
    let (mut last, mut frames) = (20, Vec::new());
    for operation in [1, 2] {
        for target_mac in [[0; 6], VM_MAC, BROADCAST] {
            let address = Ipv4Addr::new(10, 0, 0, last);
            last += 1;
            frames.push(
                Arp {
                    operation,
                    target_mac,
                    ..Arp::announcement(VM_MAC, address)
                }
                .frame(),
            );
            expected.push((address.into(), ARP));
        }
    }
    for (r#override, announcement) in [(true, NA), (false, WEAK_NA)] {
        let address = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into());
        last += 1;
        frames.push(Ndp::unsolicited(VM_MAC, address, r#override).frame());
        expected.push((address.into(), announcement));
    }
    // From an address of the VM that is another one than the one it announces.
    let address = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, 1);
    let from = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    frames.push(
        Ndp {
            from,
            ..Ndp::unsolicited(VM_MAC, address, true)
        }
        .frame(),
    );
    expected.push((address.into(), NA));
    for frame in &frames {
        site.vm_sends(frame)?;
    }

    let told = site.told(expected.len() * 5)?;
    for (address, announcement) in &expected {
        let of: Vec<_> = told.iter().filter(|told| told.from == *address).collect();
        assert_eq!(of.len(), 5, "{address}");
        for told in of {
            assert_eq!(told.announcement, *announcement, "{address}");
            assert_eq!((told.from_mac, told.vm_mac), (VM_MAC, VM_MAC));
            assert_eq!((told.gateway, told.flags, told.tag), (ID, 0, [0; 32]));
            let (to, mac): (IpAddr, _) = match address {
                IpAddr::V4(_) => (TO_V4.into(), [1, 0, 0x5e, 0, 0, 1]),
                IpAddr::V6(_) => (TO_V6.into(), [0x33, 0x33, 0, 0, 0, 1]),
            };
            assert_eq!((told.to, told.to_mac), (to, mac));
        }
    }
    ensure!(
        told.windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence),
        "each has a number of its own, above the last"
    );
    site.wait_for("/learning_packets/sent", 45)?;
    site.wait_for("/announcements/arp", 6)?;
    site.wait_for("/announcements/na", 2)?;
    site.wait_for("/announcements/weak-na", 1)?;
    assert_eq!(site.events("announced")?.len(), 9);
    Ok(())
}

#[test]
fn a_learning_packet_byte_by_byte() -> Result<()> {
    let mut site = Site::start(&TO)?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    site.vm_sends(&Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame())?;
    for (announcement, from, to, mac) in [
        (
            ARP,
            IpAddr::from(VM_IPV4),
            IpAddr::from(TO_V4),
            [1, 0, 0x5e, 0, 0, 1],
        ),
        (NA, VM_IPV6.into(), TO_V6.into(), [0x33, 0x33, 0, 0, 0, 1]),
    ] {
        let (got, sequence) = site.trunk.expect(SOON, "a learning packet", |got| {
            let told = Told::read(&got.frame)?;
            (told.from == from).then(|| (got.frame.clone(), told.sequence))
        })?;
        let payload = [
            &b"VMLP"[..],
            &[1, announcement, 0, 0],
            &ID.to_be_bytes(),
            &sequence.to_be_bytes(),
            &VM_MAC,
            &[0; 6 + 32],
        ]
        .concat();
        let mut expected = frame::udp(VM_MAC, mac, (from, 9).into(), (to, 9).into(), &payload);
        // A group's packets stay on the client's LAN.
        let (hops, checksum) = if from.is_ipv4() {
            (22, Some(24))
        } else {
            (21, None)
        };
        let before = std::mem::replace(&mut expected[hops], 1);
        if let Some(at) = checksum {
            // RFC 1624: the sum's complement grows by what the hop count shrinks.
            let sum = u16::from_be_bytes([expected[at], expected[at + 1]]);
            let (sum, carry) = sum.overflowing_add(u16::from(before - 1) << 8);
            expected[at..at + 2].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
        }
        let expected = tagged(&[Tag::c(1)], &expected);
        assert_eq!(got, expected, "{from}");
    }
    Ok(())
}

#[test]
fn what_is_no_announcement_is_not_told() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let link_local = Ipv4Addr::new(169, 254, 1, 1);
    let link_local_v6 = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    for frame in [
        Arp::probe(VM_MAC, VM_IPV4).frame(),
        // As a parser that takes RARP for ARP would see it.
        Arp::probe(VM_MAC, Ipv4Addr::UNSPECIFIED).frame(),
        Arp::request(VM_MAC, VM_IPV4, CLIENT_IPV4).frame(),
        Arp::reply(VM_MAC, VM_IPV4, CLIENT_MAC, CLIENT_IPV4).frame(),
        Arp::announcement(VM_MAC, link_local).frame(),
        frame::dad_solicitation(VM_MAC, VM_IPV6),
        frame::neighbour_solicitation(VM_MAC, VM_IPV6, CLIENT_IPV6),
        frame::solicited_advertisement(VM_MAC, VM_IPV6, CLIENT_MAC, CLIENT_IPV6),
        Ndp::unsolicited(VM_MAC, link_local_v6, true).frame(),
    ] {
        site.vm_sends(&frame)?;
    }
    // Whatever was sent before this has been read when this is told.
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))
}

#[test]
fn what_is_malformed_is_not_told() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let arp = Arp::announcement(VM_MAC, VM_IPV4);
    let na = Ndp::unsolicited(VM_MAC, VM_IPV6, true);
    let changed = |frame: &[u8], at: usize, value: u8| {
        let mut frame = frame.to_vec();
        frame[at] = value;
        frame
    };
    let foreign = Arp {
        source: [2; 6],
        ..arp
    };
    let (arp, rarp) = (arp.frame(), frame::rarp(VM_MAC));
    let good = na.frame();
    let other = Some([2; 6]);
    // These do not look like announcements to the datapath.
    let mut unseen = vec![foreign.frame()];
    // htype, ptype, hlen, plen, operation.
    for (at, value) in [(15, 6), (16, 0x86), (18, 8), (19, 16), (21, 3)] {
        unseen.push(changed(&arp, at, value));
        unseen.push(changed(&rarp, at, value.max(4)));
    }
    // The sender's MAC, and a message that ends too soon.
    unseen.push(changed(&rarp, 27, 99));
    unseen.extend([arp[..41].to_vec(), rarp[..41].to_vec(), good[..70].to_vec()]);
    unseen.push(
        Ndp {
            hop_limit: 254,
            ..na
        }
        .frame(),
    );
    unseen.push(Ndp { code: 1, ..na }.frame());
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 9);
    unseen.push(
        Ndp {
            target: group,
            ..na
        }
        .frame(),
    );
    // These do, until they are read to the end.
    let seen = [
        Ndp {
            link_layer: other,
            ..na
        }
        .frame(),
        Ndp {
            link_layer: None,
            ..na
        }
        .frame(),
        // The checksum, an option without an end, and one that ends behind the packet.
        changed(&good, 56, good[56] ^ 1),
        with_option(&good, [2, 0]),
        with_option(&good, [2, 2]),
        with_option(&good, [2, 255]),
    ];
    for frame in unseen.iter().chain(&seen) {
        site.vm_sends(frame)?;
    }
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))?;
    site.wait_for("/ignored/malformed", seen.len() as u64)?;
    let stats = site.stats()?;
    assert_eq!(stats["announcements"]["na"], 0);
    Ok(())
}

/// Another kind and length in place of an advertisement's option, with the checksum right.
fn with_option(frame: &[u8], option: [u8; 2]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[78..80].copy_from_slice(&option);
    frame[56..58].fill(0);
    // The pseudo header: both addresses, the length, the next header.
    let words = frame[22..]
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let mut sum = words.sum::<u32>() + (frame.len() as u32 - 54) + 58;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[56..58].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame
}

#[test]
fn a_vm_that_announces_all_its_addresses_at_once() -> Result<()> {
    let mut site = Site::start(&TO)?;
    // As QEMU and a guest do together: the same for both families, again and again.
    let frames = [
        frame::rarp(VM_MAC),
        Arp::announcement(VM_MAC, VM_IPV4).frame(),
        Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame(),
    ];
    let burst = frames.iter().map(Vec::as_slice).cycle().take(15);
    RawSender::open(&site.vm.ns, "eth0")?.send_all(burst)?;
    // News of one event is told once: five packets for each address.
    site.wait_for("/announcements/arp", 5)?;
    let told = site.told(10)?;
    let of = |address: IpAddr| told.iter().filter(|told| told.from == address).count();
    assert_eq!((of(VM_IPV4.into()), of(VM_IPV6.into())), (5, 5));
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))
        .context("and no more")
}
