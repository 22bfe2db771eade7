//! RARP, which carries no address: those that are known are told, those that may be are asked for.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context, Result};
use lab::{
    Mac, RawReceiver, RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_MAC},
    frame::{self, Arp, Ndp, rarp, tagged},
    poll_until,
};
use tempfile::NamedTempFile;

use crate::{SOON, Site, V4, V6, VM_IPV4, VM_IPV6, VM_MAC, told::RARP};

pub const TO: [&str; 4] = ["--announce-to", "224.0.0.1", "--announce-to", "ff02::1"];
/// Nobody, until a test speaks for it.
const GHOST: Mac = [0x52, 0x54, 0, 0, 0, 0x66];

/// The next packets are five for each of these addresses, all by RARP.
pub fn tells(site: &mut Site, mac: Mac, addresses: &[IpAddr]) -> Result<()> {
    let told = site.told(addresses.len() * 5)?;
    for address in addresses {
        let of: Vec<_> = told.iter().filter(|told| told.from == *address).collect();
        assert_eq!(of.len(), 5, "{address} among {told:?}");
        for told in of {
            assert_eq!((told.announcement, told.vm_mac), (RARP, mac));
        }
    }
    Ok(())
}

fn file(lines: &str) -> Result<NamedTempFile> {
    let file = NamedTempFile::new()?;
    fs::write(file.path(), lines)?;
    Ok(file)
}

#[test]
fn what_was_heard_is_known() -> Result<()> {
    let mut site = Site::start(&TO)?;
    // An IP packet, and a neighbour solicitation.
    let to = (CLIENT_IPV4, 5000).into();
    site.vm_sends(&frame::udp(
        VM_MAC,
        CLIENT_MAC,
        (VM_IPV4, 5000).into(),
        to,
        b"x",
    ))?;
    let gateway = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xff);
    site.vm_sends(&frame::neighbour_solicitation(VM_MAC, VM_IPV6, gateway))?;
    // And what is no address of a VM.
    site.vm_sends(&frame::dad_solicitation(VM_MAC, gateway))?;
    site.vm_sends(&Arp::probe(VM_MAC, VM_IPV4).frame())?;
    site.wait_for("/known/addresses", 2)?;
    site.vm_sends(&rarp(VM_MAC))?;
    tells(&mut site, VM_MAC, &[V4, V6])?;
    site.wait_for("/questions/asked", 0)?;
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))
}

#[test]
fn of_nobody_known_nothing_is_told() -> Result<()> {
    let mut site = Site::start(&TO)?;
    for _ in 0..3 {
        site.vm_sends(&rarp(VM_MAC))?;
    }
    site.wait_for("/questions/unanswered", 3)?;
    let events = site.events("unanswered")?;
    assert_eq!(events.len(), 1, "the same trouble is one event");
    assert_eq!(events[0]["mac"], "52:54:00:00:00:0d");
    assert_eq!(events[0]["reason"], "no address is known for it");
    // Above all not 0.0.0.0, which stands in it.
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))
}

#[test]
fn a_vm_is_asked_for_what_the_file_says_it_may_have() -> Result<()> {
    let lines = "52:54:00:00:00:0d 10.0.0.13 10.0.0.77 fd00::13 fd00::d\n";
    let file = file(lines)?;
    let path = file.path().to_string_lossy().into_owned();
    let mut site = Site::start(&[&TO[..], &["--addresses", &path]].concat())?;
    site.vm_sends(&rarp(VM_MAC))?;
    // A real kernel answers for the two that it has.
    tells(&mut site, VM_MAC, &[V4, V6])?;
    site.wait_for("/questions/answered", 2)?;
    assert_eq!(site.events("asked")?.len(), 4);
    assert_eq!(site.events("answered")?.len(), 2);
    site.wait_for("/questions/unanswered", 0)?;
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))
}

#[test]
fn what_is_known_is_told_and_the_rest_is_asked_for() -> Result<()> {
    let file = file("52:54:00:00:00:0d 10.0.0.13 fd00::d # vm13\n")?;
    let path = file.path().to_string_lossy().into_owned();
    let mut site = Site::start(&[&TO[..], &["--addresses", &path]].concat())?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    site.told(5)?;
    site.vm_sends(&rarp(VM_MAC))?;
    site.wait_for("/questions/answered", 1)?;
    let told = site.told(5)?;
    assert!(told.iter().any(|told| told.from == V6), "{told:?}");
    Ok(())
}

#[test]
fn whom_the_other_side_writes_to_is_asked() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let ghost = Ipv4Addr::new(10, 0, 0, 66);
    let ghost_v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x66);
    let mut lan = RawReceiver::open(&site.vm.ns, "eth0")?;
    // From beyond the VPN, to a MAC that nobody has here yet.
    let wan = RawSender::open(&site.lab.wan, "w1")?;
    for address in [IpAddr::from(ghost), ghost_v6.into()] {
        let from: IpAddr = if address.is_ipv4() {
            CLIENT_IPV4.into()
        } else {
            lab::fig1::CLIENT_IPV6.into()
        };
        let packet = frame::udp(
            CLIENT_MAC,
            GHOST,
            (from, 9).into(),
            (address, 7).into(),
            b"?",
        );
        wan.send(&tagged(&[Tag::c(1)], &packet))?;
    }
    // Two of the client, two of the ghost.
    site.wait_for("/known/addresses", 4)?;
    site.vm_sends(&rarp(GHOST))?;

    let port = site.lab.dc[0].ns.link("lan")?.mac;
    let [.., a, b] = port;
    let from = Ipv4Addr::new(169, 254, a % 254 + 1, b);
    let question = Arp {
        destination: GHOST,
        ..Arp::request(port, from, ghost)
    };
    let question = question.frame();
    lan.expect(SOON, "the ARP request", |got| {
        (got.frame == question).then_some(())
    })?;
    let [a, b, c, d, e, f] = port.map(u16::from);
    let from = Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        (a ^ 2) << 8 | b,
        c << 8 | 0xff,
        0xfe00 | d,
        e << 8 | f,
    );
    let solicitation = Ndp {
        destination: GHOST,
        to: ghost_v6,
        ..Ndp::solicitation(port, from, ghost_v6)
    };
    let solicitation = solicitation.frame();
    // It is asked again while it does not answer.
    lan.expect(SOON, "the solicitation", |got| {
        (got.frame == solicitation).then_some(())
    })?;
    // Nobody else's word counts: another address, another MAC.
    site.vm_sends(&Arp::reply(GHOST, Ipv4Addr::new(10, 0, 0, 67), port, ghost).frame())?;
    site.vm_sends(&Arp::reply(VM_MAC, ghost, port, VM_IPV4).frame())?;
    let answer = Arp::reply(GHOST, ghost, port, Ipv4Addr::new(169, 254, 1, 1));
    site.vm_sends(&answer.frame())?;
    site.vm_sends(&Ndp::solicited(GHOST, ghost_v6, port, from).frame())?;
    tells(&mut site, GHOST, &[ghost.into(), ghost_v6.into()])?;
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))
}

#[test]
fn the_last_question_comes_from_nobody() -> Result<()> {
    let file = file("52:54:00:00:00:66 10.0.0.66\n")?;
    let path = file.path().to_string_lossy().into_owned();
    let mut site = Site::start(&[&TO[..], &["--addresses", &path]].concat())?;
    let mut lan = RawReceiver::open(&site.vm.ns, "eth0")?;
    site.vm_sends(&rarp(GHOST))?;
    let mut senders = Vec::new();
    while senders.len() < 3 {
        senders.push(lan.expect(SOON, "a question", |got| {
            let is_arp = got.frame[12..14] == [8, 6] && got.frame[..6] == GHOST;
            is_arp.then(|| [got.frame[28], got.frame[29], got.frame[30], got.frame[31]])
        })?);
    }
    assert_eq!(senders[0][..2], [169, 254]);
    assert_eq!(senders[0], senders[1]);
    assert_eq!(senders[2], [0; 4]);
    site.wait_for("/questions/unanswered", 1)?;
    let event = site.events("unanswered")?.pop().context("an event")?;
    assert_eq!(
        event["reason"],
        "it answers for none of the addresses it may have"
    );
    site.is_told_only(Ipv4Addr::new(10, 0, 0, 99))
}

#[test]
fn a_router_with_many_addresses_is_not_followed_without_end() -> Result<()> {
    let site = Site::start(&TO)?;
    let packet = |n: u8| {
        let from = Ipv4Addr::new(192, 0, 2, n);
        frame::udp(
            GHOST,
            CLIENT_MAC,
            (from, 7).into(),
            (CLIENT_IPV4, 7).into(),
            b"x",
        )
    };
    let packets: Vec<_> = (0..100).map(packet).collect();
    RawSender::open(&site.vm.ns, "eth0")?.send_all(packets.iter().map(Vec::as_slice))?;
    site.wait_for("/ignored/address-bound", 36)?;
    site.wait_for("/known/addresses", 64)?;
    poll_until(SOON, "one station", || {
        let stats = site.stats().ok()?;
        (stats["known"]["stations"] == 1).then_some(())
    })
}
