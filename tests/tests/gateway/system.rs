//! The second embodiment whole: two data centres with real gateways, the real switch, a VM that says
//! nothing of its own accord.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, RawSender, Vm,
    fig1::RUN,
    frame::{Arp, Ndp, rarp},
    poll_until,
    traffic::ping,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{SOON, V4, V6, VM_IPV4, VM_IPV6, VM_MAC};

struct System {
    lab: Lab,
    vm: Vm,
    switch: Agent,
    /// One in each data centre.
    gateways: Vec<Agent>,
    _state: TempDir,
}

impl System {
    fn start() -> Result<Self> {
        let lab = Lab::fig1()?;
        let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
        // So that nobody asks anybody.
        lab.client.introduce(&vm)?;
        let state = TempDir::new()?;
        let key = state.path().join("key");
        std::fs::write(&key, "a secret of gateways and switch")?;
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let (key, directory) = (key.to_string_lossy(), state.path().to_string_lossy());
        let options = [
            "--key-file",
            &key,
            "--require-signed",
            "--hold-down",
            "10ms",
            "--hold-down-announce",
            "10ms",
        ];
        let mut switch = Agent::start(&lab.switch, &[&RUN[..], &options].concat())?;
        switch.wait_ready(SOON)?;
        let mut gateways = Vec::new();
        for (dc, trunk) in ["up:1", "up:2"].into_iter().enumerate() {
            lab.open_gateway(dc)?;
            let to = ["--announce-to", "224.0.0.1", "--announce-to", "ff02::1"];
            let options = [
                "gateway",
                "--lan",
                "lan",
                "--trunk",
                trunk,
                "--key-file",
                &key,
                "--state-dir",
                &directory,
            ];
            let mut gateway = Agent::start(&lab.dc[dc].ns, &[&options[..], &to].concat())?;
            gateway.wait_ready(SOON)?;
            gateways.push(gateway);
        }
        Ok(Self {
            lab,
            vm,
            switch,
            gateways,
            _state: state,
        })
    }

    /// What hypervisor or guest send when the VM is there.
    fn announce(&self, frame: &[u8]) -> Result<()> {
        RawSender::open(&self.vm.ns, "eth0")?.send(frame)
    }

    /// Waits until the gateway of a data centre has told all that it had to tell.
    fn wait_for_silence(&self, dc: usize) -> Result<()> {
        poll_until(SOON, "all learning packets to be sent", || {
            let stats = self.gateways[dc].cli_ok(&["stats", "--json"]).ok()?;
            let stats: Value = serde_json::from_str(&stats).ok()?;
            // Five for each of two addresses.
            (stats["learning_packets"]["sent"].as_u64()? == 10).then_some(())
        })
    }

    /// Waits until the switch has both of the VM's addresses at a site.
    fn wait_for_site(&self, site: &str) -> Result<()> {
        poll_until(SOON, &format!("the VM to be at {site}"), || {
            let flows = self.switch.cli_ok(&["flows", "--json"]).ok()?;
            let flows: Vec<Value> = serde_json::from_str(&flows).ok()?;
            let is_there = |address: IpAddr| {
                let address = address.to_string();
                flows
                    .iter()
                    .any(|flow| flow["address"] == address && flow["site"] == site)
            };
            (is_there(V4) && is_there(V6)).then_some(())
        })
        .with_context(|| {
            let said: Vec<_> = self.gateways.iter().map(Agent::stderr).collect();
            format!("switch: {}; gateways: {said:#?}", self.switch.stderr())
        })
    }
}

#[test]
fn the_clients_first_packet_reaches_an_idle_vm_wherever_it_is() -> Result<()> {
    let mut system = System::start()?;
    system.announce(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    system.announce(&Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame())?;
    system.wait_for_site("dc1")?;
    ping(&system.lab.client.v4(4000), &system.vm.v4(80), SOON)?;

    // There by what the guest announces, and back by what the hypervisor does.
    let there = [
        Arp::announcement(VM_MAC, VM_IPV4).frame(),
        Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame(),
    ];
    let back = [rarp(VM_MAC)];
    for (dc, frames, site) in [(1, &there[..], "dc2"), (0, &back[..], "dc1")] {
        // Nobody speaks of the place that it leaves any more.
        system.wait_for_silence(1 - dc)?;
        let System { lab, vm, .. } = &mut system;
        lab.migrate(vm, dc)?;
        for frame in frames {
            system.announce(frame)?;
        }
        system.wait_for_site(site)?;
        let (client, vm) = (&system.lab.client, &system.vm);
        ping(&client.v4(4000), &vm.v4(80), SOON).with_context(|| site.to_owned())?;
        ping(&client.v6(4000), &vm.v6(80), SOON).with_context(|| site.to_owned())?;
    }
    // The gateways' packets were all believed, and counted at both ends.
    let stats: Value = serde_json::from_str(&system.switch.cli_ok(&["stats", "--json"])?)?;
    ensure!(stats["learning_packets"].as_u64() >= Some(20), "{stats}");
    for reason in [
        "forged",
        "unsigned",
        "replayed",
        "gateway-twice",
        "unreadable",
    ] {
        assert_eq!(stats["refused"][reason], 0, "{reason}");
    }
    Ok(())
}
