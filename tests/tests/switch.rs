//! The real switch between real sockets, in the laboratory of Fig. 1.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Endpoint, Lab, Mac, Vm, poll_until,
    traffic::{UdpReceiver, UdpSender, ping, tcp::download},
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(20);
const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];
const VM_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const VM_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13);
const RUN: [&str; 7] = [
    "run", "--client", "c0", "--site", "dc1=t0:1", "--site", "dc2=t0:2",
];

fn start() -> Result<(Lab, Vm, Agent)> {
    let lab = Lab::fig1()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    let mut agent = Agent::start(&lab.switch, &RUN)?;
    agent.wait_ready(SOON)?;
    Ok((lab, vm, agent))
}

fn flow(agent: &Agent, address: &str) -> Result<Option<Value>> {
    let flows: Vec<Value> = serde_json::from_str(&agent.cli_ok(&["flows", "--json"])?)?;
    Ok(flows.into_iter().find(|flow| flow["address"] == address))
}

fn stats(agent: &Agent) -> Result<Value> {
    Ok(serde_json::from_str(&agent.cli_ok(&["stats", "--json"])?)?)
}

fn stream(from: &Endpoint, to: &Endpoint) -> Result<(UdpReceiver, UdpSender)> {
    let receiver = UdpReceiver::start(to)?;
    let sender = UdpSender::start(from, to.addr, Duration::from_micros(200), 200)?;
    receiver.wait_for(200, SOON)?;
    Ok((receiver, sender))
}

#[test]
fn a_vm_is_learned_and_both_ways_carry_tcp() -> Result<()> {
    let (lab, vm, agent) = start()?;
    for (client, server) in [
        (lab.client.v4(4000), vm.v4(80)),
        (lab.client.v6(4000), vm.v6(80)),
    ] {
        ping(&client, &server, SOON).context("client to VM")?;
        let transfer = download(&server, &client, 5_000_000, LATER)?;
        assert_eq!(transfer.bytes, 5_000_000);
    }
    let flow = flow(&agent, "10.0.0.13")?.context("the VM's flow")?;
    assert_eq!(flow["site"], "dc1");
    assert_eq!(flow["state"], "learned");
    assert_eq!(flow["uplink"]["instruction"]["vlan"], 1);
    assert_eq!(flow["downlink"]["match"]["in_port"], "t0");
    assert_eq!(stats(&agent)?["misses_lost"], 0);
    Ok(())
}

#[test]
fn the_first_packet_from_the_new_place_moves_both_rules_and_nothing_is_lost() -> Result<()> {
    let (lab, mut vm, agent) = start()?;
    let (client, server) = (lab.client.v4(5000), vm.v4(5001));
    ping(&client, &server, SOON)?;
    let (receiver, sender) = stream(&server, &client)?;
    {
        // As in a live migration: the VM stands still while its cable is at neither place.
        let _still = sender.pause();
        lab.migrate(&mut vm, 1)?;
    }
    let moved = poll_until(SOON, "the move", || {
        flow(&agent, "10.0.0.13")
            .ok()
            .flatten()
            .filter(|flow| flow["site"] == "dc2")
    })?;
    assert_eq!(moved["previous_site"], "dc1");
    assert_eq!(moved["uplink"]["instruction"]["vlan"], 2);
    assert_eq!(moved["downlink"]["match"]["vlan"], 2);
    let before = receiver.received();
    receiver.wait_for(before + 200, SOON)?;
    let report = receiver.finish(sender.stop()?, SOON)?;
    ensure!(
        report.is_perfect(),
        "VM to client across the move: {report}"
    );
    ping(&client, &server, SOON).context("client to VM at its new place")?;
    let stats = stats(&agent)?;
    assert_eq!(stats["moves"], 1);
    assert_eq!(stats["misses_lost"], 0);
    Ok(())
}

#[test]
fn killing_the_agent_costs_no_frame_and_the_next_one_takes_over() -> Result<()> {
    let (lab, vm, mut agent) = start()?;
    let (client, server) = (lab.client.v4(5000), vm.v4(5001));
    ping(&client, &server, SOON)?;
    let (receiver, sender) = stream(&client, &server)?;
    agent.kill9()?;
    let at_kill = receiver.received();
    receiver.wait_for(at_kill + 1000, SOON)?;
    ensure!(
        flow(&agent, "10.0.0.13")?.is_some(),
        "flows are shown from the pinned maps"
    );
    let mut agent = agent.restart(&RUN)?;
    agent.wait_ready(SOON)?;
    let adopted = receiver.received();
    receiver.wait_for(adopted + 1000, SOON)?;
    let report = receiver.finish(sender.stop()?, SOON)?;
    ensure!(report.is_perfect(), "client to VM across kill -9: {report}");
    let flow = flow(&agent, "10.0.0.13")?.context("the binding was adopted")?;
    assert_eq!(flow["site"], "dc1");
    Ok(())
}

#[test]
fn a_clean_end_puts_the_ports_back() -> Result<()> {
    let (lab, _vm, mut agent) = start()?;
    ensure!(
        agent.interrupt(SOON)?.success(),
        "the agent ends with 0: {}",
        agent.stderr()
    );
    let link = lab.switch.link("t0")?;
    ensure!(link.up, "t0 was up before and still is");
    let output = agent.cli(&["flows"])?;
    assert_eq!(output.status.code(), Some(1), "nothing is pinned any more");
    Ok(())
}

#[test]
fn an_operator_moves_and_mistakes_have_a_line_and_a_status() -> Result<()> {
    let (_lab, _vm, agent) = start()?;
    agent.cli_ok(&["bind", "10.0.0.77", "--site", "dc1", "--static"])?;
    agent.cli_ok(&["move", "10.0.0.77", "--site", "dc2"])?;
    let bound = flow(&agent, "10.0.0.77")?.context("the bound address")?;
    assert_eq!(
        (&bound["site"], &bound["state"]),
        (&"dc2".into(), &"static".into())
    );
    let unknown = agent.cli(&["move", "10.0.0.77", "--site", "dc9"])?;
    assert_eq!(unknown.status.code(), Some(1));
    let line = String::from_utf8_lossy(&unknown.stderr).into_owned();
    ensure!(
        line.contains("there is no site dc9") && line.lines().count() == 1,
        "{line}"
    );
    assert_eq!(
        agent
            .cli(&["move", "nonsense", "--site", "dc1"])?
            .status
            .code(),
        Some(2)
    );
    agent.cli_ok(&["unbind", "10.0.0.77"])?;
    ensure!(flow(&agent, "10.0.0.77")?.is_none(), "it is forgotten");
    Ok(())
}
