//! What is measured, a file for each question.

mod evacuation;
mod first_learning;
mod forwarding;
mod handover;
mod memory;
mod plan;
mod program_paths;
mod side_by_side;
mod stage;
mod start;
mod swarm;
mod table_size;
mod tcp;

pub use plan::Plan;

use anyhow::Result;

use crate::report::{BySize, Section};

/// What answers a question.
pub type Measure = fn(&Plan) -> Result<Section>;

/// All questions by their names, in the order in which they are asked.
pub const SECTIONS: [(&str, Measure); 9] = [
    ("forwarding", forwarding::measure),
    (BySize::SECTION, table_size::measure),
    ("program-paths", program_paths::measure),
    ("handover", handover::measure),
    ("evacuation", evacuation::measure),
    ("first-learning", first_learning::measure),
    ("memory", memory::measure),
    ("start", start::measure),
    ("tcp", tcp::measure),
];
