//! The real switch between real sockets, in the laboratory of Fig. 1.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::Result;
use lab::{Agent, Lab, Mac, Namespace, Vm, fig1::RUN};

mod crash;
mod instances;
mod killed;
mod late;
mod load;
mod mistakes;
mod moves;
mod ops;
mod order;
mod places;
mod policy;
mod ports;
mod privileges;
mod stream;
mod tags;
mod traffic;
mod upgrade;

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// Long enough for a lot of traffic on a busy machine.
const LATER: Duration = Duration::from_secs(60);
/// How long nothing must arrive to believe that nothing will.
const SILENCE: Duration = Duration::from_millis(150);

const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];
const VM_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const VM_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13);
const V4: IpAddr = IpAddr::V4(VM_IPV4);
const V6: IpAddr = IpAddr::V6(VM_IPV6);

/// Starts a switch and waits until frames flow. `arguments` begins with `run`.
fn run(namespace: &Namespace, arguments: &[&str]) -> Result<Agent> {
    let mut agent = Agent::start(namespace, arguments)?;
    agent.wait_ready(SOON)?;
    Ok(agent)
}

/// The figure with the VM in DC 1 and the switch, with `options` more than [`RUN`].
fn start(options: &[&str]) -> Result<(Lab, Vm, Agent)> {
    let lab = Lab::fig1()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    let agent = run(&lab.switch, &[&RUN, options].concat())?;
    Ok((lab, vm, agent))
}
