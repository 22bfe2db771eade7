//! Very many VMs that begin to speak at a site at the same moment.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use switch_ebpf::abi::{Counter, Drop, agent};

use super::stage::{Burst, Stage};
use crate::{
    report::{Goal, Outcome, Row, Samples, Unit},
    rig::now_ns,
};

/// How many there are.
pub const VMS: u32 = 100_000;
/// Each speaks again after so long, as a VM does that is not busy.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the switch is asked how far it is.
const LOOK: Duration = Duration::from_millis(1);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the last frames may take.
const LAST: Duration = Duration::from_secs(5);

/// What became of them.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// From the first frame until the last VM was bound to the site, in seconds.
    pub seconds: f64,
    /// Frames that came into the switch and not out of it.
    pub lost: u64,
    /// Why the switch dropped frames.
    pub drops: Vec<(&'static str, u64)>,
}

/// Has the first [`VMS`] VMs speak in a VLAN, again and again, until all are bound to its site.
///
/// # Errors
/// When that does not come about.
pub fn swarm(stage: &mut Stage, vlan: u16) -> Result<Swarm> {
    let round = Burst {
        first: 0,
        vms: VMS,
        frames: VMS,
        vlan,
    };
    let (bound, drops) = (changes(stage)?, drops(stage)?);
    let (entered, arrived) = (stage.entered()?, stage.stamps.count_down()?);
    let (started, started_ns) = (Instant::now(), now_ns()?);
    let mut rounds = 0;
    while changes(stage)? - bound < u64::from(VMS) && started.elapsed() < PATIENCE {
        if started.elapsed() >= rounds * INTERVAL {
            stage.stamps.send_down(round)?;
            rounds += 1;
        }
        std::thread::sleep(LOOK);
    }
    let last_ns = last_bound_ns(stage, vlan)?;
    let lost = || {
        let (came, went) = (
            stage.entered()? - entered,
            stage.stamps.count_down()? - arrived,
        );
        anyhow::Ok(came.saturating_sub(went))
    };
    let waited = Instant::now();
    while lost()? > 0 && waited.elapsed() < LAST {
        std::thread::sleep(LOOK);
    }
    let lost = lost()?;
    let after = self::drops(stage)?;
    let risen = after.iter().zip(&drops);
    let risen = risen.map(|((name, now), (_, before))| (*name, now - before));
    Ok(Swarm {
        seconds: (last_ns - started_ns) as f64 / 1e9,
        lost,
        drops: risen.filter(|(_, count)| *count > 0).collect(),
    })
}

/// How often a binding was made or moved.
fn changes(stage: &Stage) -> Result<u64> {
    let tables = &stage.tables;
    Ok(tables.agent(agent::CREATED)?
        + tables.agent(agent::MOVES)?
        + tables.counter(Counter::Moves)?)
}

/// When the last of the VMs was bound to the site of a VLAN.
fn last_bound_ns(stage: &Stage, vlan: u16) -> Result<u64> {
    let mut last_ns = 0;
    for number in 0..VMS {
        let binding = stage.binding(number)?;
        let here = binding.filter(|binding| stage.is_at(binding, vlan));
        let binding = here.with_context(|| format!("VM {number} was not bound to VLAN {vlan}"))?;
        last_ns = last_ns.max(binding.moved_at_ns.max(binding.created_at_ns));
    }
    Ok(last_ns)
}

/// Frames dropped, by reason.
fn drops(stage: &Stage) -> Result<Vec<(&'static str, u64)>> {
    let undelivered = stage.tables.agent(agent::UNDELIVERED)?;
    let mut drops = vec![("undelivered", undelivered)];
    for reason in Drop::ALL {
        drops.push((reason.name(), stage.tables.drops(*reason)?));
    }
    Ok(drops)
}

/// What it took, and what was lost.
///
/// # Errors
/// When there is nothing.
pub fn rows(what: &str, swarms: &[Swarm]) -> Result<Vec<Row>> {
    let samples = |figures: Vec<f64>| Samples::new(figures).context("nothing was measured");
    let row = |what: String, figures, unit, goal| {
        anyhow::Ok(Row {
            what,
            ours: Outcome::Measured(samples(figures)?, unit),
            against: None,
            goal: Some(Goal::AtMost(goal)),
        })
    };
    let seconds = swarms.iter().map(|swarm| swarm.seconds).collect();
    let lost = swarms.iter().map(|swarm| swarm.lost as f64).collect();
    let mut why: Vec<_> = swarms.iter().flat_map(|swarm| &swarm.drops).collect();
    why.sort_unstable();
    let why: String = why
        .iter()
        .map(|(reason, count)| format!(", {count} {reason}"))
        .collect();
    Ok(vec![
        row(what.to_owned(), seconds, Unit::Seconds, 1.0)?,
        row(format!("{what}: lost{why}"), lost, Unit::Frames, 0.0)?,
    ])
}
