//! How many frames a second the switch forwards, beside the limit and other switches.

use std::time::Duration;

use anyhow::Result;

use super::{Plan, side_by_side::rates};
use crate::{
    report::{Against, Goal, Outcome, Row, Section, Unit},
    rig::{
        Direction, Family, Rig, Traffic,
        system::{Bridge, OpenVswitch, Redirect, Switch},
    },
};

/// How many VMs there are.
const VMS: u32 = 10_000;

/// How many other systems there are.
const OTHERS: usize = 3;

/// Long enough for each VM to be heard.
const LEARNING: Duration = Duration::from_millis(500);

/// What tells a learning switch where all VMs are, so that it need not flood.
const LEARNED: Traffic = Traffic {
    length: 64,
    direction: Direction::Down,
    family: Family::V4,
    first: 0,
    flows: VMS,
};

/// Another system.
struct Other {
    name: &'static str,
    goal: Goal,
    /// Or why there is none.
    rig: Result<Rig, String>,
}

impl Other {
    fn new(name: &'static str, at_least: f64, rig: Result<Rig>) -> Self {
        Self {
            name,
            goal: Goal::AtLeast(at_least),
            rig: rig.map_err(|error| format!("{error:#}")),
        }
    }
}

/// Measures it.
///
/// # Errors
/// The switch does not start, or nothing comes through it.
pub fn measure(plan: &Plan) -> Result<Section> {
    let families = [Family::V4, Family::V6];
    let mut switch = Rig::new(|namespace| Switch::start(namespace, &families, VMS))?;
    let mut others: [_; OTHERS] = [
        Other::new("bare redirect", 0.90, Rig::new(Redirect::start)),
        Other::new("Linux bridge, not VLAN-aware", 2.0, Rig::new(Bridge::start)),
        Other::new("Open vSwitch, userspace", 3.0, Rig::new(OpenVswitch::start)),
    ];
    for rig in others
        .iter_mut()
        .filter_map(|other| other.rig.as_mut().ok())
    {
        rig.rate(&LEARNED, LEARNING)?;
    }
    let mut rows = Vec::new();
    for traffic in grid() {
        let with = plan.pick(quick(&traffic), OTHERS);
        rows.extend(compare(plan, &traffic, &mut switch, &mut others[..with])?);
    }
    Ok(Section {
        name: "forwarding",
        title: "Frames a second on one CPU, beside the limit and other switches",
        rows,
    })
}

/// How many of the others a quick run has for this traffic: the limit always, all for the hardest.
fn quick(traffic: &Traffic) -> usize {
    let is_hardest = (traffic.length, traffic.family, traffic.flows) == (64, Family::V4, VMS);
    if is_hardest { OTHERS } else { 1 }
}

/// All there is to compare.
fn grid() -> Vec<Traffic> {
    let mut grid = Vec::new();
    for length in [64, 1500] {
        for flows in [1, VMS] {
            for family in [Family::V4, Family::V6] {
                for direction in [Direction::Down, Direction::Up] {
                    grid.push(Traffic {
                        length,
                        direction,
                        family,
                        first: 0,
                        flows,
                    });
                }
            }
        }
    }
    grid
}

/// A row for each of the others.
fn compare(
    plan: &Plan,
    traffic: &Traffic,
    switch: &mut Rig,
    others: &mut [Other],
) -> Result<Vec<Row>> {
    let there = others
        .iter_mut()
        .filter_map(|other| other.rig.as_mut().ok());
    let rigs = [switch].into_iter().chain(there);
    let mut loads: Vec<_> = rigs.map(|rig| (rig, *traffic)).collect();
    let mut rates = rates(plan, &mut loads)?.into_iter();
    let mut rows = Vec::new();
    let Some(ours) = rates.next() else {
        return Ok(rows);
    };
    for other in others {
        let (outcome, ratio) = match &other.rig {
            Err(missing) => (Outcome::Missing(missing.clone()), None),
            Ok(_) => match rates.next() {
                Some(rate) => {
                    let ratio = ours.over(&rate);
                    (Outcome::Measured(rate, Unit::FramesPerSecond), ratio)
                }
                None => continue,
            },
        };
        rows.push(Row {
            what: traffic.to_string(),
            ours: Outcome::Measured(ours.clone(), Unit::FramesPerSecond),
            against: Some(Against {
                name: other.name,
                outcome,
                ratio,
            }),
            goal: Some(other.goal),
        });
    }
    Ok(rows)
}
