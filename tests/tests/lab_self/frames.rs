//! Frames that are built, sent and received raw.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{
    Host, Namespace, RawReceiver, RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC},
    frame::{self, Arp},
    poll_until, veth,
};

use crate::{SOON, VM_IPV4, VM_IPV6, VM_MAC};

#[test]
fn raw_frames_arrive_as_they_were_sent_in_order_and_all() -> Result<()> {
    let (a, b) = (Namespace::new("a")?, Namespace::new("b")?);
    veth((&a, "left"), (&b, "right"))?;
    let sender = RawSender::open(&a, "left")?;
    let mut receiver = RawReceiver::open(&b, "right")?;
    let tags = [
        Tag::s(4094).with_priority(7, true),
        Tag::c(1),
        Tag::c(2).with_priority(1, false),
    ];
    let (from, to) = ((CLIENT_IPV6, 1).into(), (VM_IPV6, 2).into());
    let plain = frame::udp(CLIENT_MAC, VM_MAC, from, to, b"payload");
    for depth in 0..=tags.len() {
        let frame = frame::tagged(&tags[..depth], &plain);
        sender.send(&frame)?;
        let received = receiver.receive(SOON)?.context("nothing arrived")?;
        assert_eq!(received.frame, frame, "{depth} tags");
        ensure!(!received.checksum_missing);
    }
    // Not more than the receiving end has room for while this thread does not read.
    let many: Vec<_> = (0..5_000_u32)
        .map(|number| frame::udp(CLIENT_MAC, VM_MAC, from, to, &number.to_be_bytes()))
        .collect();
    sender.send_all(many.iter().map(Vec::as_slice))?;
    for (number, frame) in many.iter().enumerate() {
        let received = receiver
            .receive(SOON)?
            .with_context(|| format!("lost frame {number}"))?;
        assert_eq!(&received.frame, frame, "frame {number}");
    }
    assert_eq!(receiver.lost()?, 0);
    Ok(())
}

#[test]
fn a_frame_has_the_time_when_it_came_and_not_when_it_was_read() -> Result<()> {
    let (a, b) = (Namespace::new("a")?, Namespace::new("b")?);
    veth((&a, "left"), (&b, "right"))?;
    let mut receiver = RawReceiver::open(&b, "right")?;
    let before = Instant::now();
    RawSender::open(&a, "left")?.send(&frame::rarp(VM_MAC))?;
    poll_until(SOON, "the frame to arrive", || {
        (b.counters("right").ok()?.rx_packets == 1).then_some(())
    })?;
    let after = Instant::now();
    let received = receiver.receive(SOON)?.context("nothing arrived")?;
    // It is converted from another clock.
    let inexact = Duration::from_millis(1);
    ensure!(received.at + inexact > before, "it came before it was sent");
    ensure!(
        received.at < after + inexact,
        "it came after it was counted"
    );
    Ok(())
}

#[test]
fn the_kernel_believes_the_frames_we_build() -> Result<()> {
    let (a, b) = (Namespace::new("tester")?, Namespace::new("host")?);
    veth((&a, "wire"), (&b, "eth0", VM_MAC))?;
    let host = Host::new(b, "eth0", VM_IPV4, VM_IPV6)?;
    let sender = RawSender::open(&a, "wire")?;
    let mut receiver = RawReceiver::open(&a, "wire")?;

    sender.send(&Arp::request(CLIENT_MAC, CLIENT_IPV4, VM_IPV4).frame())?;
    let answer = Arp::reply(VM_MAC, VM_IPV4, CLIENT_MAC, CLIENT_IPV4).frame();
    receiver.expect(SOON, "the ARP reply", |got| {
        (got.frame == answer).then_some(())
    })?;

    sender.send(&frame::neighbour_solicitation(
        CLIENT_MAC,
        CLIENT_IPV6,
        VM_IPV6,
    ))?;
    let answer = frame::solicited_advertisement(VM_MAC, VM_IPV6, CLIENT_MAC, CLIENT_IPV6);
    receiver.expect(SOON, "the advertisement", |got| {
        (got.frame == answer).then_some(())
    })?;

    // Somebody else's search for a free address is answered by its owner.
    sender.send(&Arp::probe(CLIENT_MAC, VM_IPV4).frame())?;
    let answer = Arp::reply(VM_MAC, VM_IPV4, CLIENT_MAC, Ipv4Addr::UNSPECIFIED).frame();
    receiver.expect(SOON, "the reply to the probe", |got| {
        (got.frame == answer).then_some(())
    })?;
    sender.send(&frame::dad_solicitation(CLIENT_MAC, VM_IPV6))?;
    let everyone = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    receiver.expect(SOON, "the reply to the DAD solicitation", |got| {
        (got.frame[38..54] == everyone.octets() && got.frame[54] == 136).then_some(())
    })?;

    for (at, from) in [
        (host.v4(9), (CLIENT_IPV4, 9).into()),
        (host.v6(9), (CLIENT_IPV6, 9).into()),
    ] {
        let socket = at.udp()?;
        socket.set_read_timeout(Some(SOON))?;
        sender.send(&frame::udp(CLIENT_MAC, VM_MAC, from, at.addr, b"checked"))?;
        let mut buffer = [0; 16];
        let (length, source) = socket.recv_from(&mut buffer)?;
        assert_eq!((&buffer[..length], source), (&b"checked"[..], from));
    }
    Ok(())
}
