//! Several systems under the same traffic.

use anyhow::{Context, Result};

use super::Plan;
use crate::{
    report::Samples,
    rig::{Rig, Traffic},
};

/// The rates of several systems in frames a second. They take turns, so that what the machine does
/// meanwhile is to all of them alike: run `i` of each is a neighbour in time of run `i` of the others.
///
/// # Errors
/// No frame arrived.
pub fn rates(plan: &Plan, rigs: &mut [&mut Rig], traffic: &Traffic) -> Result<Vec<Samples>> {
    let mut figures = vec![Vec::new(); rigs.len()];
    for _ in 0..plan.repetitions {
        for (rig, figures) in rigs.iter_mut().zip(&mut figures) {
            figures.push(rig.rate(traffic, plan.run)?);
        }
    }
    let samples = figures.into_iter().map(Samples::new).collect::<Option<_>>();
    samples.context("nothing was measured")
}
