//! What happens when the agent or a port goes.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, RawReceiver, Tag,
    fig1::TRUNK_MTU,
    frame::{Arp, rarp, tagged},
    poll_until,
    traffic::{UdpReceiver, UdpSender, ping},
    veth, veth_with_mtu,
};

use crate::{SOON, Site, VM_IPV4, VM_MAC, arguments};

const TO: [&str; 2] = ["--announce-to", "224.0.0.1"];

#[test]
fn a_killed_gateway_goes_on_carrying_and_the_next_one_knows_what_it_knew() -> Result<()> {
    let mut site = Site::start_with(&TO, |lab| lab.wire(0))?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    site.told(5)?;
    let to = site.vm.v4(5000);
    let receiver = UdpReceiver::start(&to)?;
    let client = site.lab.client.v4(0);
    let sender = UdpSender::start(&client, to.addr, Duration::from_micros(500), 200)?;
    receiver.wait_for(200, SOON)?;
    let sent = site.stats()?["learning_packets"]["sent"].clone();
    site = site.restart_after_kill(&TO)?;
    receiver.wait_for(receiver.received() + 200, SOON)?;
    let report = receiver.finish(sender.stop()?, SOON)?;
    ensure!(report.is_perfect(), "not a frame is lost: {report}");
    assert_eq!(
        site.stats()?["learning_packets"]["sent"],
        sent,
        "counters stay"
    );
    // RARP has no address in it: the former run had heard which it is.
    site.vm_sends(&rarp(VM_MAC))?;
    for told in site.told(5)? {
        assert_eq!(told.from, VM_IPV4);
    }
    Ok(())
}

#[test]
fn what_a_killed_gateway_left_can_be_asked_and_removed() -> Result<()> {
    let mut site = Site::start_with(&TO, |lab| lab.wire(0))?;
    let ns = site.lab.dc[0].ns.clone();
    site.gateway.kill9()?;
    ping(&site.lab.client.v4(4000), &site.vm.v4(80), SOON)?;
    let stats = site.stats()?;
    assert_eq!(stats["agent"]["running"], false);
    ensure!(
        stats["ports"]["lan"]["rx_packets"].as_u64() > Some(0),
        "{stats}"
    );
    let flows = site.gateway.cli(&["flows"])?;
    assert_eq!(flows.status.code(), Some(1));
    // A switch cannot be started on it.
    let run = ["run", "--client", "lan", "--site", "dc1=up:1"];
    let output = site.gateway.cli(&run)?;
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(line.contains("was left by a gateway"), "{line}");
    ensure!(ns.link("lan")?.xdp.is_some(), "it is still there");
    site.gateway.cli_ok(&["detach"])?;
    assert_eq!(ns.link("lan")?.xdp, None);
    assert_eq!(ns.link("up")?.xdp, None);
    assert_eq!(site.gateway.cli(&["stats"])?.status.code(), Some(1));
    Ok(())
}

#[test]
fn a_clean_end_puts_the_ports_back() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let ns = site.lab.dc[0].ns.clone();
    let flows = site.gateway.cli(&["flows"])?;
    let line = String::from_utf8_lossy(&flows.stderr).into_owned();
    ensure!(line.contains("this instance is a gateway"), "{line}");
    let status = site.gateway.interrupt(SOON)?;
    ensure!(status.success(), "{}", site.gateway.stderr());
    for port in ["lan", "up"] {
        let link = ns.link(port)?;
        assert_eq!((link.xdp, link.up), (None, true), "{port}");
    }
    assert_eq!(site.gateway.cli(&["stats"])?.status.code(), Some(1));
    Ok(())
}

#[test]
fn a_lan_port_that_comes_back_is_used_again() -> Result<()> {
    let mut site = Site::start_with(&TO, |lab| lab.wire(0))?;
    let ns = site.lab.dc[0].ns.clone();
    let (client, vm) = (site.lab.client.v4(4000), site.vm.v4(80));
    ping(&client, &vm, SOON)?;
    ns.delete_link("lan")?;
    wait_for_event(&site, "port-gone")?;
    let drops = "/drops/no-leg";
    site.lab.client.add_neighbour(VM_IPV4.into(), VM_MAC)?;
    client.udp()?.send_to(b"lost", vm.addr)?;
    poll_until(SOON, "the frame to be counted", || {
        let stats = site.stats().ok()?;
        (stats.pointer(drops)?.as_u64()? > 0).then_some(())
    })?;
    veth((&ns, "lan"), (&ns, "lan-br"))?;
    ns.set_bridge("lan-br", Some("br0"))?;
    wait_for_event(&site, "port-back")?;
    ping(&client, &vm, SOON).context("after")?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    assert_eq!(site.told(5)?[4].from, VM_IPV4);
    Ok(())
}

#[test]
fn a_trunk_port_that_comes_back_is_used_again() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let ns = site.lab.dc[0].ns.clone();
    ns.delete_link("up")?;
    wait_for_event(&site, "port-gone")?;
    // What is announced meanwhile cannot be told, and that is counted.
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    site.wait_for("/learning_packets/failed", 5)?;
    wait_for_event(&site, "send-failed")?;
    veth_with_mtu((&site.lab.wan, "w1"), (&ns, "up"), TRUNK_MTU)?;
    site.trunk = RawReceiver::open(&site.lab.wan, "w1")?;
    wait_for_event(&site, "port-back")?;
    let another = Ipv4Addr::new(10, 0, 0, 14);
    let frame = Arp::announcement(VM_MAC, another).frame();
    site.vm_sends(&frame)?;
    let carried = tagged(&[Tag::c(1)], &frame);
    site.trunk.expect(SOON, "the announcement itself", |got| {
        (got.frame == carried).then_some(())
    })?;
    assert_eq!(site.told(5)?[4].from, another);
    site.wait_for("/learning_packets/sent", 5)
}

#[test]
fn a_smaller_mtu_is_noticed() -> Result<()> {
    let site = Site::start_with(&TO, |lab| lab.wire(0))?;
    let ns = &site.lab.dc[0].ns;
    for end in ["lan", "lan-br"] {
        ns.set_mtu(end, 1000)?;
    }
    let (client, vm) = (site.lab.client.v4(4000), site.vm.v4(80));
    let socket = client.udp()?;
    poll_until(SOON, "frames to be too big", || {
        socket.send_to(&[0; 1400], vm.addr).ok()?;
        let stats = site.stats().ok()?;
        (stats["drops"]["too-big"].as_u64()? > 0).then_some(())
    })?;
    ping(&site.lab.client.v4(4001), &vm, SOON).context("smaller ones are carried")?;
    Ok(())
}

fn wait_for_event(site: &Site, kind: &str) -> Result<()> {
    poll_until(SOON, &format!("an event {kind}"), || {
        (!site.events(kind).ok()?.is_empty()).then_some(())
    })
    .with_context(|| format!("it said {}", site.gateway.stderr()))
}

#[test]
fn two_gateways_of_one_id_are_not_started_on_one_box() -> Result<()> {
    let site = Site::start(&TO)?;
    let lab = Lab::fig1()?;
    lab.open_gateway(0)?;
    let arguments = arguments(&site.state, &TO);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut second = Agent::start(&lab.dc[0].ns, &arguments)?;
    assert_eq!(second.wait_exit(SOON)?.code(), Some(1));
    let said = second.stderr();
    ensure!(
        said.contains("another gateway on this box has the id"),
        "{said}"
    );
    Ok(())
}
