//! What is measured, a file for each question.

mod forwarding;
mod plan;
mod program_paths;
mod side_by_side;
mod table_size;

pub use plan::Plan;

use anyhow::Result;

use crate::report::{BySize, Section};

/// What answers a question.
pub type Measure = fn(&Plan) -> Result<Section>;

/// All questions by their names, in the order in which they are asked.
pub const SECTIONS: [(&str, Measure); 3] = [
    ("forwarding", forwarding::measure),
    (BySize::SECTION, table_size::measure),
    ("program-paths", program_paths::measure),
];
