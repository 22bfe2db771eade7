//! The benchmark: how fast the switch is, and at what cost, beside others in the same run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`measure`] | the questions |
//! | [`rig`] | what is measured on |
//! | [`report`] | what was measured, and how it is shown |

mod measure;
mod report;
mod rig;

fn main() {}
