//! The real gateway between a data centre's LAN and the trunk.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{Agent, Lab, Mac, RawReceiver, RawSender, Vm, frame::Arp, poll_until};
use serde_json::Value;
use tempfile::TempDir;

mod announcements;
mod crash;
mod destinations;
mod forward;
mod notify;
mod qemu;
mod rarp;
mod signing;
mod snoop;
mod storm;
mod system;
mod told;
mod usage;

use told::Told;

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(30);
const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];
const VM_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const VM_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13);
const V4: IpAddr = IpAddr::V4(VM_IPV4);
const V6: IpAddr = IpAddr::V6(VM_IPV6);
/// The gateway's id in these tests.
const ID: u32 = 0x0102_0304;

/// A data centre with a VM and a real gateway on VLAN 1.
struct Site {
    lab: Lab,
    vm: Vm,
    gateway: Agent,
    /// What leaves for the switch, as the WAN hears it.
    trunk: RawReceiver,
    /// Where the sequence numbers are.
    state: TempDir,
}

impl Site {
    /// Starts it, with `options` more than the ports.
    fn start(options: &[&str]) -> Result<Self> {
        Self::start_with(options, |_| Ok(()))
    }

    /// The same, with something done to the lab before the gateway starts.
    fn start_with(options: &[&str], before: impl FnOnce(&Lab) -> Result<()>) -> Result<Self> {
        let lab = Lab::fig1()?;
        let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
        lab.open_gateway(0)?;
        before(&lab)?;
        let state = TempDir::new()?;
        let trunk = RawReceiver::open(&lab.wan, "w1")?;
        let arguments = arguments(&state, options);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut gateway = Agent::start(&lab.dc[0].ns, &arguments)?;
        gateway.wait_ready(SOON)?;
        Ok(Self {
            lab,
            vm,
            gateway,
            trunk,
            state,
        })
    }

    /// Kills the gateway and starts it again on what it has left.
    fn restart_after_kill(mut self, options: &[&str]) -> Result<Self> {
        self.gateway.kill9()?;
        let arguments = arguments(&self.state, options);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.gateway = self.gateway.restart(&arguments)?;
        self.gateway.wait_ready(SOON)?;
        Ok(self)
    }

    /// Sends a frame as the VM does.
    fn vm_sends(&self, frame: &[u8]) -> Result<()> {
        RawSender::open(&self.vm.ns, "eth0")?.send(frame)
    }

    /// The next learning packets.
    fn told(&mut self, count: usize) -> Result<Vec<Told>> {
        (0..count)
            .map(|n| {
                let what = format!("learning packet {} of {count}", n + 1);
                self.trunk
                    .expect(SOON, &what, |got| Told::read(&got.frame))
                    .with_context(|| format!("the gateway said {}", self.gateway.stderr()))
            })
            .collect()
    }

    /// Has the VM announce an address, and checks that it is told and nothing before it: what was
    /// sent earlier has been read then.
    fn is_told_only(&mut self, address: Ipv4Addr) -> Result<()> {
        self.vm_sends(&Arp::announcement(VM_MAC, address).frame())?;
        for told in self.told(5)? {
            ensure!(told.from == IpAddr::from(address), "told of {told:?}");
        }
        Ok(())
    }

    /// The counters.
    fn stats(&self) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.gateway.cli_ok(&["stats", "--json"])?,
        )?)
    }

    /// Waits until a counter, named by its JSON pointer, has a value.
    fn wait_for(&self, pointer: &str, value: u64) -> Result<()> {
        let mut last = Value::Null;
        poll_until(SOON, &format!("{pointer} to be {value}"), || {
            last = self.stats().ok()?;
            (last.pointer(pointer)?.as_u64()? == value).then_some(())
        })
        .with_context(|| format!("the counters are {last}; it said {}", self.gateway.stderr()))
    }

    /// The events of a kind.
    fn events(&self, kind: &str) -> Result<Vec<Value>> {
        let text = self.gateway.cli_ok(&["events", "--json"])?;
        let all: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        Ok(all?
            .into_iter()
            .filter(|event| event["event"] == kind)
            .collect())
    }
}

/// The command line of the gateway.
fn arguments(state: &TempDir, options: &[&str]) -> Vec<String> {
    let state = state.path().to_string_lossy();
    let id = ID.to_string();
    [
        "gateway",
        "--lan",
        "lan",
        "--trunk",
        "up:1",
        "--gateway-id",
        &id,
        "--state-dir",
        &state,
    ]
    .iter()
    .chain(options)
    .map(|argument| (*argument).to_owned())
    .collect()
}
