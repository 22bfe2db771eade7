//! Fig. 1, with and without traffic.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{
    Endpoint, Lab, Mac, RawReceiver, RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_MAC, TRUNK_MTU},
    frame::{self, Arp},
    poll_until,
    traffic::{Download, Responder, UdpReceiver, UdpSender, ping, tcp::download},
};

use crate::{LATER, SILENCE, SOON, VM_IPV4, VM_IPV6, VM_MAC, lab_with_vm};

#[test]
fn fig1_carries_tcp_and_udp_both_ways_over_both_protocols() -> Result<()> {
    let (lab, vm) = lab_with_vm()?;
    lab.wire(0)?;
    for (client, server) in [
        (lab.client.v4(4000), vm.v4(80)),
        (lab.client.v6(4000), vm.v6(80)),
    ] {
        ping(&client, &server, SOON).context("client to VM")?;
        ping(&server, &client, SOON).context("VM to client")?;
        let transfer = download(&server, &client, 10_000_000, LATER)?;
        assert_eq!(transfer.bytes, 10_000_000);
        for (from, to) in [(&client, &server), (&server, &client)] {
            let receiver = UdpReceiver::start(&Endpoint {
                ns: to.ns.clone(),
                addr: (to.addr.ip(), 5000).into(),
            })?;
            let sender = UdpSender::start(
                from,
                (to.addr.ip(), 5000).into(),
                Duration::from_micros(200),
                200,
            )?;
            receiver.wait_for(200, SOON)?;
            let report = receiver.finish(sender.stop()?, SOON)?;
            ensure!(
                report.is_perfect(),
                "{} to {}: {report}",
                from.addr,
                to.addr
            );
        }
    }
    Ok(())
}

#[test]
fn a_migrated_vm_keeps_its_connections() -> Result<()> {
    let (lab, mut vm) = lab_with_vm()?;
    lab.wire(0)?;
    ping(&lab.client.v4(0), &vm.v4(7), SOON).context("before")?;
    let mac = vm.ns.link("eth0")?.mac;
    let downloads = [
        Download::start(&vm.v4(80), &lab.client.v4(0), u64::MAX, Some(10_000_000))?,
        Download::start(&vm.v6(80), &lab.client.v6(0), u64::MAX, Some(10_000_000))?,
    ];
    let receiver = UdpReceiver::start(&lab.client.v4(5000))?;
    let sender = UdpSender::start(
        &vm.v4(0),
        lab.client.v4(5000).addr,
        Duration::from_millis(1),
        64,
    )?;
    for download in &downloads {
        download.wait_for(500_000, SOON)?;
    }
    {
        let _paused = sender.pause();
        lab.migrate(&mut vm, 1)?;
        lab.wire(1)?;
    }
    let resumed = sender.sent();
    assert_eq!(vm.dc(), 1);
    assert_eq!(vm.ns.link("eth0")?.mac, mac);
    ensure!(
        lab.dc[0].ns.link(vm.tap()).is_err(),
        "DC 1 still has the tap"
    );
    assert_eq!(
        lab.dc[1].ns.link(vm.tap())?.master,
        Some(lab.dc[1].ns.link("br0")?.index)
    );
    for download in downloads {
        download.wait_for(download.progress() + 500_000, LATER)?;
        download.stop()?;
    }
    receiver.wait_for(resumed + 100, SOON)?;
    let report = receiver.finish(sender.stop()?, SOON)?;
    ensure!(report.is_perfect(), "VM to client: {report}");
    ping(&lab.client.v6(0), &vm.v6(7), SOON).context("after")?;
    Ok(())
}

#[test]
fn a_data_centre_hears_its_own_vlan_only() -> Result<()> {
    let (lab, _vm) = lab_with_vm()?;
    lab.add_vm(
        1,
        "vm23",
        [2; 6],
        Ipv4Addr::new(10, 0, 0, 23),
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 23),
    )?;
    let trunk = RawSender::open(&lab.switch, "t0")?;
    let mut lans = [
        RawReceiver::open(&lab.dc[0].ns, "br0")?,
        RawReceiver::open(&lab.dc[1].ns, "br0")?,
    ];
    let announcement = Arp::announcement(CLIENT_MAC, CLIENT_IPV4).frame();
    for tag in [Tag::c(1), Tag::c(2), Tag::c(3), Tag::s(1), Tag::s(2)] {
        trunk.send(&frame::tagged(&[tag.with_priority(3, true)], &announcement))?;
    }
    trunk.send(&announcement)?;
    for lan in &mut lans {
        let heard: Vec<_> = lan
            .drain(SILENCE)?
            .into_iter()
            .map(|received| received.frame)
            .collect();
        assert_eq!(heard, [announcement.as_slice()]);
    }
    Ok(())
}

#[test]
fn a_service_tag_makes_a_site_as_well() -> Result<()> {
    let mut lab = Lab::without_sites()?;
    let dc = lab.add_dc(Tag::s(300))?;
    let vm = lab.add_vm(dc, "vm", VM_MAC, VM_IPV4, VM_IPV6)?;
    lab.wire(dc)?;
    let mut trunk = RawReceiver::open(&lab.wan, "pt0")?;
    ping(&lab.client.v4(0), &vm.v4(7), SOON)?;
    let first = trunk.receive(SOON)?.context("nothing on the trunk")?;
    assert_eq!(&first.frame[12..16], &[0x88, 0xa8, 0x01, 0x2c]);
    Ok(())
}

#[test]
fn the_trunk_takes_a_full_frame_and_its_tag() -> Result<()> {
    let (lab, vm) = lab_with_vm()?;
    assert_eq!(lab.switch.link("t0")?.mtu, TRUNK_MTU);
    assert_eq!(lab.switch.link("c0")?.mtu, 1500);
    lab.wire(0)?;
    let receiver = UdpReceiver::start(&vm.v4(5000))?;
    // 28 bytes of headers: exactly the MTU.
    let sender = UdpSender::start(
        &lab.client.v4(0),
        vm.v4(5000).addr,
        Duration::from_millis(1),
        1472,
    )?;
    receiver.wait_for(10, SOON)?;
    sender.stop()?;
    Ok(())
}

#[test]
fn a_settled_lab_is_quiet() -> Result<()> {
    let lab = Lab::fig1()?;
    let mut ports = [
        RawReceiver::open(&lab.switch, "c0")?,
        RawReceiver::open(&lab.switch, "t0")?,
        RawReceiver::open(&lab.wan, "pt0")?,
        RawReceiver::open(&lab.client.ns, "pc0")?,
        RawReceiver::open(&lab.dc[0].ns, "br0")?,
    ];
    // A VM that starts, moves and goes makes no noise either.
    let mut vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    lab.migrate(&mut vm, 1)?;
    for port in &mut ports {
        let noise = port.drain(SILENCE)?;
        ensure!(noise.is_empty(), "heard {noise:02x?}");
    }
    Ok(())
}

#[test]
fn a_real_gateway_can_take_the_place_of_the_stand_in() -> Result<()> {
    let (lab, vm) = lab_with_vm()?;
    lab.open_gateway(0)?;
    let gateway = &lab.dc[0].ns;
    let mut lan = RawReceiver::open(gateway, "lan")?;
    let mut uplink = RawReceiver::open(gateway, "up")?;
    let announcement = Arp::announcement(VM_MAC, VM_IPV4).frame();
    RawSender::open(&vm.ns, "eth0")?.send(&announcement)?;
    let heard = lan.receive(SOON)?.context("nothing on the LAN port")?;
    assert_eq!(heard.frame, announcement);
    let tagged = frame::tagged(&[Tag::c(1)], &announcement);
    RawSender::open(&lab.switch, "t0")?.send(&tagged)?;
    let heard = uplink.receive(SOON)?.context("nothing on the uplink")?;
    assert_eq!(heard.frame, tagged);
    Ok(())
}

#[test]
fn a_paused_download_leaves_its_tcp_nothing_to_say() -> Result<()> {
    let (lab, vm) = lab_with_vm()?;
    lab.wire(0)?;
    let download = Download::start(&vm.v4(80), &lab.client.v4(0), u64::MAX, Some(10_000_000))?;
    download.wait_for(500_000, SOON)?;
    let paused = download.pause()?;
    let mut lan = RawReceiver::open(&lab.dc[0].ns, vm.tap())?;
    let noise = lan.drain(SILENCE)?;
    ensure!(noise.is_empty(), "heard {} frames", noise.len());
    drop(paused);
    download.wait_for(download.progress() + 500_000, SOON)?;
    download.stop()?;
    Ok(())
}

#[test]
fn a_paused_responder_has_not_heard_what_came_meanwhile() -> Result<()> {
    let (lab, vm) = lab_with_vm()?;
    lab.wire(0)?;
    let (asker, server) = (lab.client.v4(5000), vm.v4(7));
    let answers = UdpReceiver::start(&asker)?;
    let responder = Responder::start(&server, asker.addr)?;
    let ask = |count| -> Result<()> {
        let from = lab.client.v4(0);
        let questions = UdpSender::start(&from, server.addr, Duration::from_millis(1), 8)?;
        poll_until(SOON, "questions", || {
            (questions.sent() >= count).then_some(())
        })?;
        questions.stop()?;
        Ok(())
    };
    ask(1)?;
    answers.wait_for(1, SOON)?;
    let before = answers.received();

    let paused = responder.pause();
    let arrived = vm.ns.counters("eth0")?.rx_packets;
    ask(10)?;
    poll_until(SOON, "the questions to arrive", || {
        (vm.ns.counters("eth0").ok()?.rx_packets >= arrived + 10).then_some(())
    })?;
    drop(paused);
    ask(1)?;
    answers.wait_for(before + 1, SOON)?;
    let unheard = responder.stop()?;
    ensure!((10..20).contains(&unheard), "{unheard} were not heard");
    let report = answers.finish(0, Duration::ZERO)?;
    ensure!(report.arrivals.len() as u64 <= before + 5, "{report}");
    Ok(())
}

#[test]
fn vpns_can_carry_ip_only() -> Result<()> {
    let (lab, vm) = lab_with_vm()?;
    lab.carry_ip_only()?;
    lab.client.introduce(&vm)?;
    let mut trunk = RawReceiver::open(&lab.switch, "t0")?;
    let mut at_vm = RawReceiver::open(&vm.ns, "eth0")?;
    let mut tap = RawReceiver::open(&lab.dc[0].ns, vm.tap())?;
    let from_vm = RawSender::open(&vm.ns, "eth0")?;
    let to_vm = RawSender::open(&lab.switch, "t0")?;
    let ip = |from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr)| {
        let (source, destination) = ((from.1, 9).into(), (to.1, 9).into());
        frame::udp(from.0, to.0, source, destination, b"hello")
    };
    let (client, vm) = ((CLIENT_MAC, CLIENT_IPV4), (VM_MAC, VM_IPV4));
    let out = [
        Arp::announcement(vm.0, vm.1).frame(),
        frame::rarp(vm.0),
        ip(vm, client),
    ];
    let back = [
        Arp::announcement(client.0, client.1).frame(),
        frame::rarp(client.0),
        ip(client, vm),
    ];
    for (out, back) in out.iter().zip(&back) {
        from_vm.send(out)?;
        to_vm.send(&frame::tagged(&[Tag::c(1)], back))?;
    }
    for frame in &out {
        tap.expect(SOON, "each of them on its LAN", |heard| {
            (heard.frame == *frame).then_some(())
        })?;
    }
    // Only the last of each three has got through.
    let heard = trunk.receive(SOON)?.context("nothing on the trunk")?;
    assert_eq!(heard.frame, frame::tagged(&[Tag::c(1)], &out[2]));
    let heard = at_vm.receive(SOON)?.context("nothing at the VM")?;
    assert_eq!(heard.frame, back[2]);
    Ok(())
}

#[test]
fn a_link_counts_what_it_passes_on() -> Result<()> {
    let (lab, vm) = lab_with_vm()?;
    let (tap, eth0) = (
        || lab.dc[0].ns.counters(vm.tap()),
        || vm.ns.counters("eth0"),
    );
    let (tap_before, before) = (tap()?, eth0()?);
    let frame = Arp::announcement(VM_MAC, VM_IPV4).frame();
    let sender = RawSender::open(&vm.ns, "eth0")?;
    sender.send_all([frame.as_slice(); 10])?;
    poll_until(SOON, "ten frames to be counted", || {
        (eth0().ok()?.tx_packets == before.tx_packets + 10).then_some(())
    })?;
    assert_eq!(tap()?.rx_packets, tap_before.rx_packets + 10);
    assert_eq!(eth0()?.tx_dropped, before.tx_dropped);
    Ok(())
}
