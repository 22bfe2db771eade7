//! The benchmark: how fast the switch is, and at what cost, beside others in the same run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`report`] | what was measured, and how it is shown |

mod report;

fn main() {}
