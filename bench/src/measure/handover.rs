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

/// VMs in the background, which stay where they are: their first number, and how many they are.
const OTHERS: (u32, u32) = (10_000, 10_000);
/// Longer than the agent stays awake after a move.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is measured what the switch forwards.
const TRIAL: Duration = Duration::from_millis(200);

/// Who learns a move.
struct Learner {
    name: &'static str,
    /// `--learn-in-datapath`.
    option: &'static str,
    /// What the median should be at most, in nanoseconds.
    median: f64,
    /// What the 99th percentile should be at most.
    most: f64,
}

const AGENT: Learner = Learner {
    name: "agent",
    option: "never",
    median: 100_000.0,
    most: 1_000_000.0,
};
const DATAPATH: Learner = Learner {
    name: "datapath",
    option: "always",
    median: 5_000.0,
    most: 5_000.0,
};

/// Measures it.
///
/// # Errors
/// When something of it does not start, or a VM's frame does not arrive.
pub fn measure(plan: &Plan) -> Result<Section> {
    let moves = plan.pick(300, 2000);
    let mut rows = Vec::new();
    for learner in [AGENT, DATAPATH] {
        for loaded in [false, true] {
            let mut stage = start(&learner, moves)?;
            let times = if loaded {
                under_load(&mut stage, moves)
            } else {
                (0..moves).map(|number| one(&mut stage, number)).collect()
            };
            let against = if loaded || learner.option == DATAPATH.option {
                None
            } else {
                Some(conventional(plan.pick(40, 200))?)
            };
            rows.extend(rows_of(&learner, loaded, times?, against)?);
        }
    }
    Ok(Section {
        name: "handover",
        title: "A move: from the VM's first frame to its delivery, with the uplink switched",
        rows,
    })
}

/// A switch with VMs that will move, and others.
fn start(learner: &Learner, moves: u32) -> Result<Stage> {
    ensure!(moves <= OTHERS.0, "VMs would move that are to stay");
    let options = ["--learn-in-datapath", learner.option];
    let (first, count) = OTHERS;
    Stage::start(&options, first + count, first + count)
}

fn under_load(stage: &mut Stage, moves: u32) -> Result<Vec<f64>> {
    let others = Burst {
        first: OTHERS.0,
        vms: OTHERS.1,
        frames: 0,
        vlan: FROM_VLAN,
    };
    let half = capacity(stage, others, TRIAL)? / 2.0;
    let load = Load::start(&stage.cables, others, half)?;
    let times = (0..moves).map(|number| one(stage, number)).collect();
    load.stop()?;
    times
}

/// Moves one VM, and says how many nanoseconds that took.
fn one(stage: &mut Stage, number: u32) -> Result<f64> {
    thread::sleep(PAUSE);
    let fast_packet = Burst {
        first: number,
        vms: 1,
        frames: 1,
        vlan: if std::env::var_os("STAY").is_some() {
            FROM_VLAN
        } else {
            TO_VLAN
        },
    };
    stage.stamps.send_down(fast_packet)?;
    if std::env::var_os("STAY").is_some() {
        return Ok({
            let a = spin_until(PATIENCE, String::new, || stage.stamps.arrived_down(number))?;
            (a.arrived_ns - a.sent_ns) as f64
        });
    }
    let what = || format!("the first frame of VM {number} at its new site");
    let arrival = spin_until(PATIENCE, what, || stage.stamps.arrived_down(number))?;
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
    Ok((arrival.arrived_ns - arrival.sent_ns) as f64)
}

/// The same in the conventional system.
fn conventional(moves: u32) -> Result<Against> {
    let mut system = Conventional::start(moves)?;
    let times = (0..moves).map(|number| system.one(number));
    let times = Samples::new(times.collect::<Result<_>>()?).context("nobody moved")?;
    Ok(Against {
        name: "conventional system",
        outcome: Outcome::Measured(times, Unit::Nanoseconds),
        ratio: None,
    })
}

/// The median, with all figures, and the 99th percentile.
fn rows_of(
    learner: &Learner,
    loaded: bool,
    times: Vec<f64>,
    against: Option<Against>,
) -> Result<[Row; 2]> {
    let times = Samples::new(times).context("nobody moved")?;
    let at = if loaded { "at half load" } else { "idle" };
    let row = |what, samples, against, goal| Row {
        what: format!("in the {}, {at}: {what}", learner.name),
        ours: Outcome::Measured(samples, Unit::Nanoseconds),
        against,
        goal: Some(Goal::AtMost(goal)),
    };
    let p99 = Samples::new(vec![times.percentile(99.0)]).context("no percentile")?;
    Ok([
        row("median", times, against, learner.median),
        row("99th percentile", p99, None, learner.most),
    ])
}
