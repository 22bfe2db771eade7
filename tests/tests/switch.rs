//! The real switch between real sockets, in the laboratory of Fig. 1.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{Agent, Lab, Mac, Vm};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);
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
