//! Carrying frames between the LAN and the trunk.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, RawReceiver, RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_MAC},
    frame::{self, tagged},
    traffic::{UdpReceiver, UdpSender, ping, tcp::download},
    veth,
};
use tempfile::TempDir;

use crate::{SOON, Site, VM_IPV4, VM_MAC};

const TO: [&str; 2] = ["--announce-to", "224.0.0.1"];
/// Learning packets would be in the way of those who count frames.
const QUIET: [&str; 2] = ["--notify", "http://127.0.0.1:9/"];
/// How long nothing must arrive to believe that nothing will.
const SILENCE: Duration = Duration::from_millis(150);

#[test]
fn tcp_and_udp_go_both_ways() -> Result<()> {
    let site = Site::start_with(&TO, |lab| lab.wire(0))?;
    let (client, vm) = (&site.lab.client, &site.vm);
    for (client, server) in [(client.v4(4000), vm.v4(80)), (client.v6(4000), vm.v6(80))] {
        ping(&client, &server, SOON).context("client to VM")?;
        ping(&server, &client, SOON).context("VM to client")?;
        for (from, to) in [(&server, &client), (&client, &server)] {
            let transfer = download(from, to, 5_000_000, SOON)?;
            assert_eq!(transfer.bytes, 5_000_000);
        }
    }
    // 28 bytes of headers: exactly the MTU.
    let receiver = UdpReceiver::start(&vm.v4(5000))?;
    let to = vm.v4(5000).addr;
    let sender = UdpSender::start(&client.v4(0), to, Duration::from_millis(1), 1472)?;
    receiver.wait_for(100, SOON)?;
    ensure!(
        receiver.finish(sender.stop()?, SOON)?.is_perfect(),
        "nothing is lost"
    );
    let stats = site.stats()?;
    for (reason, count) in stats["drops"].as_object().context("drops")? {
        assert_eq!(count, 0, "{reason}");
    }
    Ok(())
}

/// What both ends of a gateway see, without a LAN's bridge between.
struct Bare {
    _gateway: Agent,
    lan: (RawSender, RawReceiver),
    wan: (RawSender, RawReceiver),
}

/// A gateway between two cables, `lan` – `outside` and `up` – `w1`.
fn bare(at: &str, options: &[&str]) -> Result<(Lab, TempDir, Bare)> {
    let lab = Lab::fig1()?;
    lab.open_gateway(0)?;
    let ns = &lab.dc[0].ns;
    let outside = lab::Namespace::new("outside")?;
    veth((ns, "lan2"), (&outside, "outside"))?;
    let state = TempDir::new()?;
    let arguments = crate::arguments(&state, options);
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| if argument == "lan" { at } else { argument })
        .collect();
    let mut gateway = Agent::start(ns, &arguments)?;
    gateway.wait_ready(SOON)?;
    let bare = Bare {
        _gateway: gateway,
        lan: (
            RawSender::open(&outside, "outside")?,
            RawReceiver::open(&outside, "outside")?,
        ),
        wan: (
            RawSender::open(&lab.wan, "w1")?,
            RawReceiver::open(&lab.wan, "w1")?,
        ),
    };
    Ok((lab, state, bare))
}

/// Frames of all kinds, which a cable would carry too.
fn frames() -> Vec<Vec<u8>> {
    let udp = frame::udp(
        VM_MAC,
        CLIENT_MAC,
        (VM_IPV4, 7).into(),
        (CLIENT_IPV4, 7).into(),
        &[7; 200],
    );
    let mut control = udp.clone();
    control[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0x0e]);
    control[12..14].copy_from_slice(&[0x88, 0xcc]);
    let mut broken = udp.clone();
    broken[14] = 0x41;
    let mut unknown = udp.clone();
    unknown[12..14].copy_from_slice(&[0x12, 0x34]);
    let length = vec![0xaa; 60];
    let longest = frame::udp(
        VM_MAC,
        CLIENT_MAC,
        (VM_IPV4, 7).into(),
        (CLIENT_IPV4, 7).into(),
        &[7; 1472],
    );
    assert_eq!(longest.len(), 1514);
    vec![
        udp.clone(),
        frame::rarp(VM_MAC),
        control,
        broken,
        unknown,
        length,
        tagged(&[Tag::c(7).with_priority(5, true)], &udp),
        tagged(&[Tag::s(8), Tag::c(9)], &udp),
        tagged(&[Tag::s(8), Tag::c(9), Tag::c(10), Tag::c(11)], &udp),
        longest,
    ]
}

#[test]
fn everything_is_carried_as_it_is() -> Result<()> {
    let (_lab, _state, mut bare) = bare("lan2", &QUIET)?;
    for frame in frames() {
        // 0xaa… is no broadcast and has no tag: it is carried like the others.
        bare.lan.0.send(&frame)?;
        let expected = tagged(&[Tag::c(1)], &frame);
        let got = bare.wan.1.receive(SOON)?.context("nothing on the trunk")?;
        assert_eq!(got.frame, expected);
        bare.wan.0.send(&expected)?;
        let got = bare.lan.1.receive(SOON)?.context("nothing on the LAN")?;
        assert_eq!(got.frame, frame);
    }
    Ok(())
}

#[test]
fn other_vlans_and_the_port_itself_stay_the_hosts() -> Result<()> {
    let (lab, _state, mut bare) = bare("lan2", &QUIET)?;
    let udp = &frames()[0];
    for tags in [&[Tag::c(2)][..], &[Tag::s(1)], &[]] {
        bare.wan.0.send(&tagged(tags, udp))?;
    }
    for (port, sender) in [("lan2", &bare.lan.0), ("up", &bare.wan.0)] {
        let mut to_port = udp.clone();
        to_port[..6].copy_from_slice(&lab.dc[0].ns.link(port)?.mac);
        sender.send(&match port {
            "up" => tagged(&[Tag::c(1)], &to_port),
            _ => to_port,
        })?;
    }
    ensure!(bare.lan.1.drain(SILENCE)?.is_empty(), "nothing on the LAN");
    ensure!(
        bare.wan.1.drain(SILENCE)?.is_empty(),
        "nothing on the trunk"
    );
    Ok(())
}

#[test]
fn a_tagged_lan_has_its_tag_rewritten() -> Result<()> {
    let (_lab, _state, mut bare) = bare("lan2:5/802.1ad", &QUIET)?;
    let udp = &frames()[0];
    let (on_lan, on_trunk) = (Tag::s(5), Tag::c(1));
    for inner in [&[][..], &[Tag::c(9)]] {
        let lan = tagged(&[&[on_lan.with_priority(3, true)], inner].concat(), udp);
        let trunk = tagged(&[&[on_trunk.with_priority(3, true)], inner].concat(), udp);
        bare.lan.0.send(&lan)?;
        let got = bare.wan.1.receive(SOON)?.context("nothing on the trunk")?;
        assert_eq!(got.frame, trunk);
        bare.wan.0.send(&trunk)?;
        let got = bare.lan.1.receive(SOON)?.context("nothing on the LAN")?;
        assert_eq!(got.frame, lan);
    }
    bare.lan.0.send(udp)?;
    ensure!(
        bare.wan.1.drain(SILENCE)?.is_empty(),
        "untagged is not carried"
    );
    Ok(())
}

#[test]
fn a_priority_tag_does_not_pile_up() -> Result<()> {
    let (_lab, _state, mut bare) = bare("lan2", &QUIET)?;
    let udp = &frames()[0];
    bare.lan
        .0
        .send(&tagged(&[Tag::c(0).with_priority(6, false)], udp))?;
    let got = bare.wan.1.receive(SOON)?.context("nothing on the trunk")?;
    assert_eq!(got.frame, tagged(&[Tag::c(1).with_priority(6, false)], udp));
    Ok(())
}
