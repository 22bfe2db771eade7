//! `demo`: a move between two data centres, in the namespace lab.

use std::ffi::OsString;

use anyhow::Result;

use crate::{build, exec, test};

/// Builds the agent and the demo, and becomes the demo.
pub fn run(args: &[OsString]) -> Result<()> {
    test::can_run("demo")?;
    let agent = build::agent(true)?;
    let mut demo = exec::cargo("run")?;
    demo.args(["--quiet", "--release"])
        .args(["--package", "switch-tests", "--bin", "demo", "--"])
        .args(args)
        .env("SWITCH_AGENT", agent);
    exec::replace(&mut demo)
}
