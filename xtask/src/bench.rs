//! `bench`: how fast the switch is, beside others in the same run.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{build, checks, exec, paths, test};

/// Builds the agent and the benchmark, and becomes the benchmark.
pub fn run(args: &[OsString]) -> Result<()> {
    let mut bench = Command::new(paths::target()?.join("release").join("bench"));
    bench.args(args);
    if !checks::only_prints(args) {
        test::can_run("bench")?;
        bench.env("SWITCH_AGENT", build::agent(true)?);
    }
    let mut build = exec::cargo("build")?;
    build.args(["--release", "--package", "switch-bench"]);
    exec::run(&mut build)?;
    exec::replace(&mut bench)
}
