//! What is measured, a file for each question.

mod handover;
mod plan;
mod stage;

pub use plan::Plan;

use anyhow::Result;

use crate::report::Section;

/// What answers a question.
pub type Measure = fn(&Plan) -> Result<Section>;

/// All questions by their names, in the order in which they are asked.
pub const SECTIONS: [(&str, Measure); 1] = [("handover", handover::measure)];
