//! `run`: the agent, freshly built.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{build, checks, exec};

/// Builds the agent and becomes it.
pub fn run(args: &[OsString]) -> Result<()> {
    // Without a command it prints its help.
    if !args.is_empty() && !checks::only_prints(args) {
        checks::privileged("run -- …")?;
    }
    let agent = build::agent(true)?;
    exec::replace(Command::new(agent).args(args))
}
