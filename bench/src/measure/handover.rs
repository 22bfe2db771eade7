//! A move: from the first frame of the moved VM that enters the trunk port to the same frame leaving the
//! client port, with the uplink switched.
//!
//! Both times are taken in the kernel, by the programs at the far ends of the two cables.

mod conventional;

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{
    Plan,
    stage::{Burst, FROM_VLAN, Load, Stage, TO_VLAN, capacity, spin_until},
};
use crate::report::{Against, Goal, Outcome, Row, Samples, Section, Unit};
use conventional::Conventional;

/// The first of the VMs that speak alone and stay where they are.
const STAYING: u32 = 5_000;
/// VMs in the background, which stay where they are: their first number, and how many they are.
const OTHERS: (u32, u32) = (10_000, 10_000);
/// Addresses that nobody has, in a storm: the first number, and how many there are.
const SPOOFED: (u32, u32) = (1 << 20, 1 << 23);
/// How many frames a second there are in a storm while it blows: the kernel pauses between two of its
/// gusts, and takes a good part of the time for that. In the mean half a million are left.
const STORM: f64 = 1_000_000.0;
/// How long 99 of 100 moves may take in a storm, in nanoseconds.
const IN_STORM: f64 = 10_000_000.0;
/// Longer than the agent stays awake after a move.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so long a frame has arrived, or is looked for.
const A_WHILE: Duration = Duration::from_millis(50);
/// How often a VM sends its frame until one reaches the switch.
const TRIES: usize = 100;
/// How long it is measured what the switch forwards.
const TRIAL: Duration = Duration::from_millis(200);

/// Who learns a move.
struct Learner {
    name: &'static str,
    /// `--learn-in-datapath`.
    option: &'static str,
    /// What the median should be at most, in nanoseconds.
    median: f64,
    /// What the 99th percentile should be at most. A frame that meets another on its CPU has it worse
    /// than the datapath's move takes.
    most: Option<f64>,
}

const AGENT: Learner = Learner {
    name: "agent",
    option: "never",
    median: 100_000.0,
    most: Some(1_000_000.0),
};
const DATAPATH: Learner = Learner {
    name: "datapath",
    option: "always",
    median: 5_000.0,
    most: None,
};

/// Measures it.
///
/// # Errors
/// When something of it does not start, or a VM's frame does not arrive.
pub fn measure(plan: &Plan) -> Result<Section> {
    let moves = plan.pick(300, 2000);
    let mut rows = Vec::from(idle_agent(moves, plan.pick(40, 200))?);
    rows.extend(loaded(&AGENT, moves)?);
    rows.extend(stormy(moves)?);
    rows.extend(idle_datapath(moves)?);
    rows.extend(loaded(&DATAPATH, moves)?);
    Ok(Section {
        name: "handover",
        title: "A move: from the VM's first frame to its delivery, with the uplink switched",
        rows,
    })
}

/// The agent and the conventional system take turns, as long as that has VMs.
fn idle_agent(moves: u32, conventional: u32) -> Result<[Row; 2]> {
    let mut stage = start(&AGENT, moves)?;
    let mut system = Conventional::start(conventional)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..moves {
        ours.push(one(&mut stage, number)?);
        if number < conventional {
            theirs.push(system.one(number)?);
        }
    }
    rows_of(&AGENT, "idle", ours, Some(("conventional system", theirs)))
}

/// Moves and frames of VMs that stay take turns: the cables take their time as well.
fn idle_datapath(moves: u32) -> Result<[Row; 2]> {
    let mut stage = start(&DATAPATH, moves)?;
    let (mut moved, mut stayed) = (Vec::new(), Vec::new());
    for number in 0..moves {
        moved.push(one(&mut stage, number)?);
        thread::sleep(PAUSE);
        stayed.push(passage(&mut stage, STAYING + number, FROM_VLAN)?);
    }
    rows_of(
        &DATAPATH,
        "idle",
        moved,
        Some(("a frame without a move", stayed)),
    )
}

/// A switch with VMs that will move, and others.
fn start(learner: &Learner, moves: u32) -> Result<Stage> {
    ensure!(moves <= STAYING, "VMs would move that are to stay");
    let options = ["--learn-in-datapath", learner.option];
    let (first, count) = OTHERS;
    Stage::start(&options, first + count, first + count)
}

fn loaded(learner: &Learner, moves: u32) -> Result<[Row; 2]> {
    let mut stage = start(learner, moves)?;
    let others = Burst {
        first: OTHERS.0,
        vms: OTHERS.1,
        frames: 0,
        vlan: FROM_VLAN,
    };
    let half = capacity(&mut stage, others, TRIAL)? / 2.0;
    let load = Load::start(&stage.cables, others, half)?;
    let times = (0..moves).map(|number| one(&mut stage, number));
    let times = times.collect::<Result<_>>()?;
    load.stop()?;
    rows_of(learner, "at half load", times, None)
}

/// Moves while the site that the VMs come from is full of frames from spoofed addresses.
fn stormy(moves: u32) -> Result<[Row; 3]> {
    let mut stage = start(&AGENT, moves)?;
    let spoofed = Burst {
        first: SPOOFED.0,
        vms: SPOOFED.1,
        frames: 0,
        vlan: FROM_VLAN,
    };
    let storm = Load::start(&stage.cables, spoofed, STORM)?;
    let times = (0..moves).map(|number| one(&mut stage, number));
    let times = times.collect::<Result<_>>()?;
    let rate = Samples::new(vec![storm.stop()?]).context("no storm")?;
    let learner = Learner {
        most: Some(IN_STORM),
        ..AGENT
    };
    let [median, p99] = rows_of(&learner, "in a storm of spoofed addresses", times, None)?;
    let rate = Row {
        what: "in the storm: frames a second".to_owned(),
        ours: Outcome::Measured(rate, Unit::FramesPerSecond),
        against: None,
        goal: None,
    };
    Ok([median, p99, rate])
}

/// Moves one VM, and says how many nanoseconds that took.
fn one(stage: &mut Stage, number: u32) -> Result<f64> {
    thread::sleep(PAUSE);
    let took = passage(stage, number, TO_VLAN)?;
    let binding = stage.binding(number)?;
    ensure!(
        binding.is_some_and(|binding| stage.is_at(&binding, TO_VLAN)),
        "VM {number}: its frame was there before the move was: {binding:?}"
    );
    stage.stamps.send_up(number)?;
    let what = || format!("a frame to VM {number}");
    let up = spin_until(PATIENCE, what, || stage.stamps.arrived_up(number))?;
    ensure!(
        up.tci == u64::from(TO_VLAN),
        "VM {number} has moved, and a frame to it went to VLAN {}",
        up.tci
    );
    Ok(took)
}

/// Has a VM speak in a VLAN, and says how many nanoseconds that took to the client.
fn passage(stage: &mut Stage, number: u32, vlan: u16) -> Result<f64> {
    let frame = Burst {
        first: number,
        vms: 1,
        frames: 1,
        vlan,
    };
    let what = || format!("a frame of VM {number}");
    let entered = stage.entered_from(vlan)?;
    for _ in 0..TRIES {
        stage.stamps.send_down(frame)?;
        let arrived = spin_until(A_WHILE, what, || stage.stamps.arrived_down(number));
        // With the cable full of others' frames it may never have reached the switch.
        if arrived.is_ok() || stage.entered_from(vlan)? != entered {
            break;
        }
    }
    let arrival = spin_until(PATIENCE, what, || stage.stamps.arrived_down(number))?;
    Ok((arrival.arrived_ns - arrival.sent_ns) as f64)
}

/// The median, with all figures, and the 99th percentile.
fn rows_of(
    learner: &Learner,
    when: &str,
    times: Vec<f64>,
    others: Option<(&'static str, Vec<f64>)>,
) -> Result<[Row; 2]> {
    let times = Samples::new(times).context("nobody moved")?;
    let p99 = Samples::new(vec![times.percentile(99.0)]).context("no percentile")?;
    let against = match others {
        Some((name, others)) => {
            let others = Samples::new(others).context("nothing to compare with")?;
            Some(Against {
                name,
                // The goal is of the time.
                ratio: None,
                outcome: Outcome::Measured(others, Unit::Nanoseconds),
            })
        }
        None => None,
    };
    let row = |what, samples, against, goal: Option<f64>| Row {
        what: format!("in the {}, {when}: {what}", learner.name),
        ours: Outcome::Measured(samples, Unit::Nanoseconds),
        against,
        goal: goal.map(Goal::AtMost),
    };
    Ok([
        row("median", times, against, Some(learner.median)),
        row("99th percentile", p99, None, learner.most),
    ])
}
