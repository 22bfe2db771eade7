//! One move of the VM, and the gap it makes.

use std::{
    panic::resume_unwind,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use lab::{Agent, Lab, Mac, RawReceiver, Vm};
use serde::Deserialize;

use crate::{interrupt, traffic::Traffic};

/// How long the switch may take before it has missed the move.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often somebody who waits looks whether the demo is interrupted.
const STEP: Duration = Duration::from_millis(50);

/// What a move was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// For how long the VM stood still: the hypervisors' part, not the switch's.
    pub paused: Duration,
    /// From the VM's resumption to its first frame at the PC.
    pub gap_at_pc: Duration,
    /// From the VM's resumption to the PC's first frame at the VM.
    pub gap_at_vm: Duration,
    /// From the arrival of the VM's first frame to the new flow rules, by the switch's own account.
    pub learn: Option<Duration>,
}

/// Moves the VM to another data centre as a hypervisor does: pause, carry over, resume. It lasts
/// until packets arrive at both ends again.
pub fn migrate(
    lab: &Lab,
    vm: &mut Vm,
    to: usize,
    traffic: &Traffic,
    switch: &Agent,
) -> Result<Move> {
    // What the VM has sent is in the network, which goes on delivering it.
    let server = traffic.download.pause()?;
    let program = traffic.from_vm.sender.pause();
    let started = Instant::now();
    traffic.from_vm.drain();
    lab.migrate(vm, to)?;
    let at_pc = RawReceiver::open(&lab.client.ns, &lab.client.interface)?;
    let at_vm = RawReceiver::open(&vm.ns, &vm.interface)?;
    let (from_vm, from_pc) = (vm.mac, lab.client.mac);
    let (resumed, at_pc, at_vm) = thread::scope(|scope| {
        let at_pc = scope.spawn(move || first_from(from_vm, at_pc));
        let at_vm = scope.spawn(move || first_from(from_pc, at_vm));
        let resumed = Instant::now();
        drop((program, server));
        (resumed, at_pc.join(), at_vm.join())
    });
    let arrived = |at: thread::Result<Result<Instant>>| {
        let at = at.unwrap_or_else(|panic| resume_unwind(panic));
        at.with_context(|| format!("the switch said:\n{}", switch.stderr()))
    };
    Ok(Move {
        paused: resumed - started,
        gap_at_pc: arrived(at_pc)? - resumed,
        gap_at_vm: arrived(at_vm)? - resumed,
        learn: learn_time(switch, vm)?,
    })
}

/// When the first frame of a sender arrives.
fn first_from(sender: Mac, mut receiver: RawReceiver) -> Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        interrupt::check()?;
        if let Some(received) = receiver.receive(STEP)?
            && received.frame[6..12] == sender
        {
            return Ok(received.at);
        }
    }
    bail!("the VM was resumed, and {PATIENCE:?} later the other end had heard nothing")
}

/// What `events --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Event {
    event: String,
    address: String,
    learn_us: Option<u64>,
}

/// How long the switch took for the VM's last move, if it says so.
fn learn_time(switch: &Agent, vm: &Vm) -> Result<Option<Duration>> {
    let address = vm.ipv4.to_string();
    let mut last = None;
    for line in switch.cli_ok(&["events", "--json"])?.lines() {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("read the event {line}"))?;
        if event.event == "moved" && event.address == address {
            last = event.learn_us;
        }
    }
    Ok(last.map(Duration::from_micros))
}
