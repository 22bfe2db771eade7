//! `bench`: how fast the switch is, beside others in the same run.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{build, checks, exec, paths, test};

/// Builds the agent and the benchmark, and becomes the benchmark.
pub fn run(args: &[OsString]) -> Result<()> {
    exec::replace(&mut built(args)?)
}

/// Builds them, and has the benchmark measure everything, each for seconds. Whether it can is what
/// matters here; what comes out on a machine that is busy with something else says nothing.
pub fn smoke() -> Result<()> {
    exec::run(&mut built(&["--quick".into()])?)
}

/// The benchmark, freshly built for release, as the agent is that the tests of the lab have run.
fn built(args: &[OsString]) -> Result<Command> {
    let mut bench = Command::new(paths::target()?.join("release").join("bench"));
    bench.args(args);
    if !checks::only_prints(args) {
        test::can_run("bench")?;
        bench.env("SWITCH_AGENT", build::agent(true)?);
    }
    let mut build = exec::cargo("build")?;
    build.args(["--release", "--package", "switch-bench"]);
    exec::run(&mut build)?;
    Ok(bench)
}
