//! `run`: the agent, freshly built.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{build, checks, exec};

/// Builds the agent and becomes it.
pub fn run(args: &[OsString]) -> Result<()> {
    if !only_prints(args) {
        checks::privileged("run -- …")?;
    }
    let agent = build::agent(true)?;
    exec::replace(Command::new(agent).args(args))
}

/// Whether the agent will print a text and do nothing else.
fn only_prints(args: &[OsString]) -> bool {
    args.is_empty()
        || args.iter().any(|arg| {
            ["help", "--help", "-h", "--version", "-V"]
                .iter()
                .any(|text| arg == text)
        })
}
