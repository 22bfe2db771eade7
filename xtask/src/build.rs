//! `build`: the agent, with the XDP programs inside it.

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{checks, exec, paths, setup, test};

/// Builds the agent and returns where it is.
pub fn agent(release: bool) -> Result<PathBuf> {
    setup::ensure()?;
    let mut build = exec::cargo("build")?;
    build.args(["--package", "switch-agent"]);
    if release {
        build.arg("--release");
    }
    exec::run(&mut build)?;
    let profile = if release { "release" } else { "debug" };
    Ok(paths::target()?.join(profile).join("switch-agent"))
}

/// Builds a program of a package that runs the agent in the lab, with others that it finds beside itself, and
/// the agent unless the program will only print a text: ready to be run, with these arguments.
pub fn with_agent(
    package: &str,
    program: &str,
    beside: &[&str],
    args: &[OsString],
) -> Result<Command> {
    let mut ready = Command::new(paths::target()?.join("release").join(program));
    ready.args(args);
    if !checks::only_prints(args) {
        test::can_run(program)?;
        ready.env("SWITCH_AGENT", agent(true)?);
    }
    let mut build = exec::cargo("build")?;
    build.args(["--release", "--package", package]);
    for program in [&[program], beside].concat() {
        build.args(["--bin", program]);
    }
    exec::run(&mut build)?;
    Ok(ready)
}
