//! Programs of others that leave nothing behind.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use lab::process;

/// A running program. Dropping it kills it; if this very process is killed, it goes with it.
pub struct Process(Child);

impl Process {
    /// Starts it. To be called in the main thread: when the thread that starts it ends, it is killed.
    ///
    /// # Errors
    /// It is not there.
    pub fn start(mut command: Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        process::tie(&mut command);
        let child = command.spawn();
        child
            .map(Self)
            .with_context(|| format!("start {}", name(&command)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it is gone, and then there is nothing to do.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs a program that must succeed to its end.
///
/// # Errors
/// It does not, with what it said.
pub fn run(mut command: Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).process_group(0).output();
    let output = output.with_context(|| format!("start {}", name(&command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        name(&command),
        output.status,
        said.trim()
    );
    Ok(())
}

/// Whether a program of this name is there.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
