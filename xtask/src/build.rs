//! `build`: the agent, with the XDP programs inside it.

use std::path::PathBuf;

use anyhow::Result;

use crate::{exec, paths, setup};

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
