//! `ci`: what every change is held to.

use anyhow::Result;

use crate::{bench, exec, kernels, setup, test};

/// Formatting, lints, tests, those on other kernels, and whether the benchmark runs; the fast ones first.
pub fn run() -> Result<()> {
    // First, or the lack of root would show only after minutes.
    test::can_run("ci")?;
    exec::run(exec::cargo("fmt")?.args(["--all", "--check"]))?;
    setup::ensure()?;
    exec::run(
        exec::cargo("clippy")?
            .args(["--workspace", "--all-targets", "--locked"])
            .args(["--", "-D", "warnings"]),
    )?;
    test::run(&[])?;
    kernels::all()?;
    bench::smoke()
}
