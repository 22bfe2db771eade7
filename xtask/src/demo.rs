//! `demo`: moves between two data centres, in the namespace lab.

use std::ffi::OsString;

use anyhow::Result;

use crate::{build, exec};

/// Builds the agent and the demo, and becomes the demo.
pub fn run(args: &[OsString]) -> Result<()> {
    exec::replace(&mut build::with_agent(
        "switch-tests",
        "demo",
        &["guest"],
        args,
    )?)
}
