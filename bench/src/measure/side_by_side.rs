//! Several systems in turn.

use anyhow::{Context, Result};

use super::Plan;
use crate::{
    report::Samples,
    rig::{Rig, Traffic},
};

/// The rates of several systems, each under its traffic, in frames a second. They take turns, so that
/// what the machine does meanwhile is done to all of them: run `i` of each is a neighbour in time of run
/// `i` of the others.
///
/// # Errors
/// No frame arrived.
pub fn rates(plan: &Plan, loads: &mut [(&mut Rig, Traffic)]) -> Result<Vec<Samples>> {
    let mut figures = vec![Vec::new(); loads.len()];
    for _ in 0..plan.repetitions {
        for ((rig, traffic), figures) in loads.iter_mut().zip(&mut figures) {
            figures.push(rig.rate(traffic, plan.run)?);
        }
    }
    let samples = figures.into_iter().map(Samples::new).collect::<Option<_>>();
    samples.context("nothing was measured")
}
