//! What is measured, a file for each question.

mod evacuation;
mod first_learning;
mod handover;
mod memory;
mod plan;
mod stage;
mod start;
mod swarm;

pub use plan::Plan;

use anyhow::Result;

use crate::report::Section;

/// What answers a question.
pub type Measure = fn(&Plan) -> Result<Section>;

/// All questions by their names, in the order in which they are asked.
pub const SECTIONS: [(&str, Measure); 5] = [
    ("handover", handover::measure),
    ("evacuation", evacuation::measure),
    ("first-learning", first_learning::measure),
    ("memory", memory::measure),
    ("start", start::measure),
];
