//! Traffic through the switch, over every kind of attachment.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Host, Lab, Tag, Vm, kernel,
    traffic::{ping, stream, tcp::download},
};
use serde_json::json;

use crate::{LATER, RUN, SOON, VM_IPV4, VM_IPV6, VM_MAC, run, start};

const BYTES: u64 = 3_000_000;

/// TCP, UDP and ping between two hosts, both ways, over IPv4 and IPv6. They ask for each other by
/// ARP and neighbour discovery.
pub fn talk(client: &Host, vm: &Host) -> Result<()> {
    for (client, vm) in [(client.v4(4000), vm.v4(80)), (client.v6(4000), vm.v6(80))] {
        for (near, far) in [(&client, &vm), (&vm, &client)] {
            let way = || format!("{} to {}", near.addr, far.addr);
            ping(near, far, SOON).with_context(way)?;
            download(near, far, BYTES, LATER).with_context(way)?;
            let report = stream(near, far, 200, 1000, SOON).with_context(way)?;
            ensure!(report.is_perfect(), "{}: {report}", way());
        }
    }
    Ok(())
}

pub fn other_vm(lab: &Lab, dc: usize) -> Result<Vm> {
    let (v4, v6) = (
        Ipv4Addr::new(10, 0, 0, 23),
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 23),
    );
    lab.add_vm(dc, "vm23", [0x52, 0x54, 0, 0, 0, 23], v4, v6)
}

#[test]
fn both_sites_over_one_trunk() -> Result<()> {
    let (lab, vm, agent) = start(&[])?;
    let other = other_vm(&lab, 1)?;
    talk(&lab.client, &vm)?;
    talk(&lab.client, &other)?;
    let places: Vec<_> = agent
        .flows()?
        .iter()
        .map(|flow| (flow["address"].clone(), flow["site"].clone()))
        .collect();
    let expected = [
        ("10.0.0.13", "dc1"),
        ("10.0.0.23", "dc2"),
        ("fd00::d", "dc1"),
        ("fd00::17", "dc2"),
    ];
    assert_eq!(
        places,
        expected.map(|(address, site)| (json!(address), json!(site)))
    );
    let stats = agent.stats()?;
    assert_eq!(stats.faults(), []);
    assert_eq!((stats.get("created"), stats.get("moves")), (4, 0));
    Ok(())
}

#[test]
fn sites_on_trunks_of_their_own() -> Result<()> {
    let mut lab = Lab::without_sites()?;
    lab.add_trunk("t1")?;
    // The same VLAN: the port tells them apart.
    lab.add_dc_on("t0", Tag::c(1))?;
    lab.add_dc_on("t1", Tag::c(1))?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    let other = other_vm(&lab, 1)?;
    let sites = ["--site", "dc1=t0:1", "--site", "dc2=t1:1"];
    let agent = run(
        &lab.switch,
        &[&["run", "--client", "c0"], &sites[..]].concat(),
    )?;
    talk(&lab.client, &vm)?;
    talk(&lab.client, &other)?;
    let flow = agent
        .flow("10.0.0.23")?
        .context("the flow of the VM in DC 2")?;
    assert_eq!(
        flow["uplink"]["instruction"],
        json!({"vlan": 1, "output": "t1"})
    );
    assert_eq!(agent.stats()?.faults(), []);
    Ok(())
}

#[test]
fn a_client_in_a_vlan_of_its_own() -> Result<()> {
    for (tag, attachment) in [(Tag::c(7), "c0:7"), (Tag::s(7), "c0:7/802.1ad")] {
        let lab = Lab::fig1()?;
        let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
        lab.client.join_vlan(tag)?;
        let sites = ["--site", "dc1=t0:1", "--site", "dc2=t0:2"];
        let agent = run(
            &lab.switch,
            &[&["run", "--client", attachment], &sites[..]].concat(),
        )?;
        talk(&lab.client, &vm)?;
        assert_eq!(agent.stats()?.faults(), []);
    }
    Ok(())
}

#[test]
fn a_client_on_the_trunk_itself() -> Result<()> {
    let mut lab = Lab::fig1()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    let office = lab.add_dc(Tag::c(9))?;
    let client = other_vm(&lab, office)?;
    let sites = ["--site", "dc1=t0:1", "--site", "dc2=t0:2"];
    let agent = run(
        &lab.switch,
        &[&["run", "--client", "t0:9"], &sites[..]].concat(),
    )?;
    talk(&client, &vm)?;
    assert_eq!(agent.stats()?.faults(), []);
    Ok(())
}

#[test]
fn a_site_with_service_tags() -> Result<()> {
    let mut lab = Lab::without_sites()?;
    lab.add_dc(Tag::s(300))?;
    // The same id, another kind of tag.
    lab.add_dc(Tag::c(300))?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    let other = other_vm(&lab, 1)?;
    let sites = ["--site", "dc1=t0:300/802.1ad", "--site", "dc2=t0:300"];
    let agent = run(
        &lab.switch,
        &[&["run", "--client", "c0"], &sites[..]].concat(),
    )?;
    talk(&lab.client, &vm)?;
    talk(&lab.client, &other)?;
    let flow = agent
        .flow("10.0.0.13")?
        .context("the flow of the VM in DC 1")?;
    let instruction = json!({"vlan": 300, "tpid": "802.1ad", "output": "t0"});
    assert_eq!(flow["uplink"]["instruction"], instruction);
    assert_eq!(agent.stats()?.faults(), []);
    Ok(())
}

#[test]
fn jumbo_frames() -> Result<()> {
    let lab = Lab::fig1()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    lab.set_mtu(&vm, 9000)?;
    // While it asks by ARP, a host loses and reorders packets itself.
    lab.client.introduce(&vm)?;
    let native = kernel::redirects_buffers()?;
    let mode = if native { "native" } else { "generic" };
    if !native {
        let mut agent = Agent::start(&lab.switch, &RUN)?;
        let ended = agent.wait_exit(SOON)?;
        ensure!(ended.code() == Some(1), "{ended}");
        let said = agent.stderr();
        ensure!(said.contains("try `--xdp-mode generic`"), "{said}");
    }
    let agent = run(&lab.switch, &[&RUN[..], &["--xdp-mode", mode]].concat())?;
    let (client, server) = (lab.client.v4(4000), vm.v4(80));
    for (near, far) in [(&server, &client), (&client, &server)] {
        // 28 bytes of headers: exactly the MTU. The very first one goes through the agent.
        let report = stream(near, far, 200, 9000 - 28, SOON)?;
        ensure!(
            report.is_perfect(),
            "{} to {}: {report}",
            near.addr,
            far.addr
        );
        download(near, far, BYTES, LATER)?;
    }
    let stats = agent.stats()?;
    assert_eq!(stats.faults(), []);
    ensure!(stats.get("ports/c0/rx_bytes") > 200 * 9000, "{stats:?}");
    Ok(())
}
