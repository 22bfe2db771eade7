//! `bench`: how fast the switch is, beside others in the same run.

use std::ffi::OsString;

use anyhow::Result;

use crate::{build, exec};

const PACKAGE: &str = "switch-bench";
const PROGRAM: &str = "bench";

/// Builds the agent and the benchmark, and becomes the benchmark.
pub fn run(args: &[OsString]) -> Result<()> {
    exec::replace(&mut build::with_agent(PACKAGE, PROGRAM, &[], args)?)
}

/// Builds them, and has the benchmark measure everything, each for seconds. Whether it can is what
/// matters here; what comes out on a machine that is busy with something else says nothing.
pub fn smoke() -> Result<()> {
    exec::run(&mut build::with_agent(
        PACKAGE,
        PROGRAM,
        &[],
        &["--quick".into()],
    )?)
}
