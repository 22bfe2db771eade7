//! The start of an agent that finds a full table: until it says that it is ready.

use anyhow::{Context, Result};

use super::{Plan, stage::Stage};
use crate::report::{Goal, Outcome, Row, Samples, Section, Unit};

/// How many bindings it finds.
const BOUND: u32 = 1_000_000;

/// Measures it.
///
/// # Errors
/// When it does not start.
pub fn measure(plan: &Plan) -> Result<Section> {
    let mut stage = Stage::start(&[], BOUND, BOUND)?;
    let mut seconds = vec![stage.start.as_secs_f64()];
    for _ in 1..plan.pick(3, 10) {
        stage = stage.restart()?;
        seconds.push(stage.start.as_secs_f64());
    }
    let seconds = Samples::new(seconds).context("it never started")?;
    Ok(Section {
        name: "start",
        title: "Start of the agent on what a killed one has left, until it is ready",
        rows: vec![Row {
            what: "1 000 000 bindings".to_owned(),
            ours: Outcome::Measured(seconds, Unit::Seconds),
            against: None,
            goal: Some(Goal::AtMost(2.0)),
        }],
    })
}
