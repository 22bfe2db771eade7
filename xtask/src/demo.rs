//! `demo`: moves between two data centres, in the namespace lab.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{build, checks, exec, paths, test};

/// Builds the agent and the demo, and becomes the demo.
pub fn run(args: &[OsString]) -> Result<()> {
    let mut demo = Command::new(paths::target()?.join("release").join("demo"));
    demo.args(args);
    if !checks::only_prints(args) {
        test::can_run("demo")?;
        demo.env("SWITCH_AGENT", build::agent(true)?);
    }
    let mut build = exec::cargo("build")?;
    build.args(["--release", "--package", "switch-tests", "--bin", "demo"]);
    exec::run(&mut build)?;
    exec::replace(&mut demo)
}
