//! Whether a large table makes the switch slower.

use anyhow::{Context, Result};

use super::{Plan, side_by_side::rates};
use crate::{
    report::{Against, BySize, Goal, Outcome, Row, Samples, Section, Unit},
    rig::{Direction, Family, Rig, Traffic, system::Switch},
};

/// How many bindings there are; the first is what the others are compared with.
const SIZES: [u32; 3] = [1000, 100_000, 1_000_000];
/// What is left of the rate with the most of them.
const GOAL: Goal = Goal::AtLeast(0.80);

/// Measures it: 64-byte frames of all bound addresses, drawn evenly.
///
/// # Errors
/// The switch does not start, or nothing comes through it.
pub fn measure(plan: &Plan) -> Result<Section> {
    let mut rigs = Vec::new();
    for vms in SIZES {
        rigs.push(Rig::new(|at| Switch::start(at, &[Family::V4], vms))?);
    }
    let mut rows = Vec::new();
    for direction in [Direction::Down, Direction::Up] {
        let traffic = |flows| Traffic {
            length: 64,
            direction,
            family: Family::V4,
            first: 0,
            flows,
        };
        let mut loads: Vec<_> = rigs.iter_mut().zip(SIZES.map(traffic)).collect();
        let rates = rates(plan, &mut loads)?;
        let least = rates.first().context("nothing was measured")?;
        for (bindings, rate) in SIZES.into_iter().zip(&rates) {
            let way = &direction.to_string();
            rows.push(row(BySize { bindings, way }, rate, least));
        }
    }
    Ok(Section {
        name: BySize::SECTION,
        title: "Frames a second on one CPU, by the size of the table (64 bytes, IPv4, all addresses)",
        rows,
    })
}

fn row(of: BySize<'_>, rate: &Samples, least: &Samples) -> Row {
    let measured = |rate: &Samples| Outcome::Measured(rate.clone(), Unit::FramesPerSecond);
    let [smallest, .., largest] = SIZES;
    Row {
        what: of.to_string(),
        ours: measured(rate),
        against: (of.bindings != smallest).then(|| Against {
            name: "itself with 1000",
            outcome: measured(least),
            ratio: rate.over(least),
        }),
        goal: (of.bindings == largest).then_some(GOAL),
    }
}
