//! The course of events, the same for every system.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::Result;
use lab::{Agent, Lab, Mac, Vm, traffic::ping};

use crate::{
    balance::{Balance, Snapshot},
    interrupt::idle,
    migration::{Move, migrate},
    outcome::{Outcome, ms},
    screen::Screen,
    system::System,
    traffic::{INTERVAL, RATE, Traffic},
};

const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];
const VM_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const VM_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13);
/// How long the VM's first words may take.
const SOON: Duration = Duration::from_secs(5);
/// How long the VM stays where it is: longer than the switch's hold-down for moves back.
const STAY: Duration = Duration::from_millis(500);

/// Fig. 1, with the names that the flow table uses.
const PICTURE: &str = "
                                      ┌─ VLAN 1 ── dc1: VM 10.0.0.13
  PC 10.0.0.1 ─── c0 │ switch │ t0 ───┤
                                      └─ VLAN 2 ── dc2
";

/// Lays out Fig. 1, and has the VM move so often, and once more after the system's restart.
pub fn run<S: System>(screen: &mut Screen, moves: u32) -> Result<Outcome> {
    let lab = Lab::fig1()?;
    let mut vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    screen.note(PICTURE)?;
    screen.step("Fig. 1 is laid out in network namespaces")?;
    let mut system = S::start(&lab)?;
    screen.step(format_args!("the switch is ready (system `{}`)", S::NAME))?;

    let before = Snapshot::take(&lab, &vm, system.switch())?;
    ping(&vm.v4(0), &lab.client.v4(7), SOON)?;
    screen.step("the VM has said its first word, and the switch knows where it is")?;
    let traffic = Traffic::start(&lab.client, &vm)?;
    screen.step(format_args!(
        "traffic runs: TCP download from the VM at {} MB/s, a UDP packet every {} each way",
        RATE / 1_000_000,
        ms(INTERVAL),
    ))?;
    idle(STAY)?;
    screen.step("the flow table before the first move:")?;
    flow_table(screen, system.switch())?;

    let mut done = Vec::new();
    for number in 1..=moves {
        done.push(one_move(screen, number, &lab, &mut vm, &traffic, &system)?);
        idle(STAY)?;
        if number == 1 {
            screen.step("the flow table after it:")?;
            flow_table(screen, system.switch())?;
        }
    }
    system = system.restart()?;
    screen.step("the agent was killed (kill -9) and started again; the traffic went on")?;
    let after_restart = one_move(screen, moves + 1, &lab, &mut vm, &traffic, &system)?;
    idle(STAY)?;

    let traffic = traffic.finish()?;
    let after = Snapshot::settled(&lab, &vm, system.switch())?;
    screen.step("the traffic has stopped; every frame is counted")?;
    Ok(Outcome {
        system: S::NAME,
        trigger: S::TRIGGER,
        operator_inputs: S::OPERATOR_INPUTS,
        moves: done,
        after_restart,
        traffic,
        balance: Balance::between(&before, &after),
    })
}

fn one_move<S: System>(
    screen: &mut Screen,
    number: u32,
    lab: &Lab,
    vm: &mut Vm,
    traffic: &Traffic,
    system: &S,
) -> Result<Move> {
    let from = vm.dc();
    let to = (from + 1) % lab.dc.len();
    let done = migrate(lab, vm, to, traffic, system.switch())?;
    let learned = done.learn.map_or_else(String::new, |time| {
        format!(", learned in {} us", time.as_micros())
    });
    screen.step(format_args!(
        "move {number}: dc{} -> dc{}, paused {}, gap {} at the PC, {} at the VM{learned}",
        from + 1,
        to + 1,
        ms(done.paused),
        ms(done.gap_at_pc),
        ms(done.gap_at_vm),
    ))?;
    Ok(done)
}

/// Both flow rules of every address, as `switch-agent flows` prints them.
fn flow_table(screen: &mut Screen, switch: &Agent) -> Result<()> {
    screen.table(switch.cli_ok(&["flows"])?.lines())
}
