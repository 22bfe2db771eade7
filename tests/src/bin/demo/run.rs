//! The course of events, the same for every system.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::Result;
use lab::{Agent, Lab, Mac, Vm, interrupt::idle, traffic::ping};

use crate::{
    balance::{Balance, Snapshot},
    migration::{Move, carry, first_answer, migrate},
    outcome::{Outcome, Stranded},
    screen::{Screen, ms},
    system::System,
    traffic::{Guest, INTERVAL, RATE, Traffic},
};

const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];
const VM_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const VM_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13);
/// How long the VM's first words may take.
const SOON: Duration = Duration::from_secs(5);
/// How long a VM is waited for that nobody will find.
const IN_VAIN: Duration = Duration::from_secs(1);

/// A system in its lab, with everything under way.
struct Stage<'a, S> {
    lab: Lab,
    vm: Vm,
    traffic: Traffic,
    system: S,
    screen: &'a mut Screen,
    moves: u32,
}

/// Lays out Fig. 1, has the VM move so often, once more after our agents' restart, and once more
/// without the control device if there is one.
pub fn run<S: System>(screen: &mut Screen, moves: u32, show_flows: bool) -> Result<Outcome> {
    let lab = Lab::fig1()?;
    lab.carry_ip_only()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    lab.client.introduce(&vm)?;
    let system = S::start(&lab, &vm)?;
    let before = Snapshot::take(&lab, &vm, system.switch())?;
    ping(&vm.v4(0), &lab.client.v4(7), SOON)?;
    let traffic = Traffic::start(&lab.client, &vm, S::GUEST)?;
    screen.step(format_args!("{}: {}", S::NAME, introduction::<S>()))?;
    let mut stage = Stage {
        lab,
        vm,
        traffic,
        system,
        screen,
        moves: 0,
    };
    idle(S::STAY)?;

    let mut done = Vec::new();
    for number in 1..=moves {
        let show_flows = show_flows && number == 1;
        if show_flows {
            stage.flows("the flow table before the first move:")?;
        }
        done.push(stage.one_move()?);
        if show_flows {
            stage.flows("the flow table after it:")?;
        }
    }
    stage.system = stage.system.restart()?;
    let text = "our agents were killed (kill -9) and started again; the traffic went on";
    stage.screen.step(text)?;
    let after_restart = stage.one_move()?;
    let stranded = stage.without_control_device()?;

    let Stage {
        lab,
        vm,
        traffic,
        system,
        screen,
        moves: announced,
    } = stage;
    let traffic = traffic.finish()?;
    let after = Snapshot::settled(&lab, &vm, system.switch())?;
    screen.step("the traffic has stopped; every frame is counted")?;
    Ok(Outcome {
        system: S::NAME,
        title: S::TITLE,
        figures: S::FIGURES,
        guest: S::GUEST,
        operator_lines: system.operator_lines(),
        moves: done,
        after_restart,
        stranded,
        traffic,
        balance: Balance::between(&before, &after, announced),
    })
}

/// What is under way.
fn introduction<S: System>() -> String {
    let figures = S::FIGURES;
    let interval = ms(INTERVAL);
    let probes = format!("the PC asks it something every {interval}");
    match S::GUEST {
        Guest::Idle => format!("{figures}, an idle VM; {probes}"),
        Guest::Busy => format!(
            "{figures}, a busy VM: a TCP download at {} MB/s, a UDP packet every {interval}; {probes}",
            RATE / 1_000_000,
        ),
    }
}

impl<S: System> Stage<'_, S> {
    /// Moves the VM to the next data centre, and lets it stay there.
    fn one_move(&mut self) -> Result<Move> {
        let (from, to) = self.next_move();
        let done = migrate(&self.lab, &mut self.vm, to, &self.traffic, &self.system)?;
        self.screen.step(format_args!(
            "move {}: dc{} -> dc{}, paused {}; news after {}, switched after {}, gap {}",
            self.moves,
            from + 1,
            to + 1,
            ms(done.paused),
            ms(done.news),
            ms(done.switched),
            ms(done.gap),
        ))?;
        idle(S::STAY)?;
        Ok(done)
    }

    /// Moves the VM once more when the control device, if there is one, is dead: until an operator
    /// moves it by hand, nobody should find it.
    fn without_control_device(&mut self) -> Result<Option<Stranded>> {
        if !self.system.kill_control_device()? {
            return Ok(None);
        }
        self.screen
            .step("the control device was killed (kill -9)")?;
        let (from, to) = self.next_move();
        let arrival = carry(&self.lab, &mut self.vm, to, &self.traffic)?;
        idle(IN_VAIN)?;
        let found = self.traffic.answered(arrival.first_probe).is_some();
        let asked = self.traffic.probes() - arrival.first_probe;
        self.screen.step(format_args!(
            "move {}: dc{} -> dc{}: {} in {}",
            self.moves,
            from + 1,
            to + 1,
            if found { "an answer" } else { "not one answer" },
            ms(IN_VAIN),
        ))?;
        let (address, site) = (self.vm.ipv4.to_string(), format!("dc{}", to + 1));
        let by_hand = ["move", &address, "--site", &site];
        self.system.switch().cli_ok(&by_hand)?;
        first_answer(&self.traffic, &arrival)?;
        self.screen.step(format_args!(
            "an operator moves it by hand: switch-agent {}",
            by_hand.join(" ")
        ))?;
        idle(S::STAY)?;
        Ok(Some(Stranded { asked, found }))
    }

    /// Counts a move, from where and to where.
    fn next_move(&mut self) -> (usize, usize) {
        self.moves += 1;
        let from = self.vm.dc();
        (from, (from + 1) % self.lab.dc.len())
    }

    /// Both flow rules of every address, as `switch-agent flows` prints them.
    fn flows(&mut self, what: &str) -> Result<()> {
        self.screen.step(what)?;
        let switch: &Agent = self.system.switch();
        self.screen.table(switch.cli_ok(&["flows"])?.lines())
    }
}
