//! Whether a large table makes the switch slower.

use std::{fmt, str::FromStr};

use anyhow::{Context, Result};

use super::{Plan, side_by_side::rates};
use crate::{
    report::{Against, Goal, Outcome, Row, Samples, Section, Unit},
    rig::{Direction, Family, Rig, Traffic, system::Switch},
};

/// The section's name.
pub const NAME: &str = "table-size";

/// How many bindings there are; the first is what the others are compared with.
const SIZES: [u32; 3] = [1000, 100_000, 1_000_000];
/// What is left of the rate with the most of them.
const GOAL: Goal = Goal::AtLeast(0.80);

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// How many bindings there are.
    pub bindings: u32,
    /// Which way frames go.
    pub direction: Direction,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bindings, {}", self.bindings, self.direction)
    }
}

impl FromStr for Point {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (bindings, direction) = text.split_once(" bindings, ").ok_or(())?;
        let direction = [Direction::Up, Direction::Down]
            .into_iter()
            .find(|known| known.to_string() == direction);
        Ok(Self {
            bindings: bindings.parse().map_err(drop)?,
            direction: direction.ok_or(())?,
        })
    }
}

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
            rows.push(row(
                Point {
                    bindings,
                    direction,
                },
                rate,
                least,
            ));
        }
    }
    Ok(Section {
        name: NAME,
        title: "Frames a second on one CPU, by the size of the table (64 bytes, IPv4, all addresses)",
        rows,
    })
}

fn row(point: Point, rate: &Samples, least: &Samples) -> Row {
    let measured = |rate: &Samples| Outcome::Measured(rate.clone(), Unit::FramesPerSecond);
    let [smallest, .., largest] = SIZES;
    Row {
        what: point.to_string(),
        ours: measured(rate),
        against: (point.bindings != smallest).then(|| Against {
            name: "itself with 1000",
            outcome: measured(least),
            ratio: rate.over(least),
        }),
        goal: (point.bindings == largest).then_some(GOAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_it_is_about() {
        for bindings in SIZES {
            for direction in [Direction::Up, Direction::Down] {
                let point = Point {
                    bindings,
                    direction,
                };
                assert_eq!(point.to_string().parse(), Ok(point));
            }
        }
        assert_eq!("bindings, up".parse::<Point>(), Err(()));
    }
}
