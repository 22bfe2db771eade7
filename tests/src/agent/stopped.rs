//! Stopping an agent where it is.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::Agent;
use crate::poll_until;

/// How long the kernel may take to stop all threads.
const PATIENCE: Duration = Duration::from_secs(10);

impl Agent {
    /// Stops it until it gets SIGCONT or is killed: when this returns, none of its threads runs any
    /// more, and what is meant for it waits.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        poll_until(PATIENCE, "switch-agent to be stopped", || {
            match self.are_threads_stopped() {
                Ok(stopped) => stopped.then_some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        })?
    }

    fn are_threads_stopped(&self) -> Result<bool> {
        let directory = format!("/proc/{}/task", self.pid());
        let threads = fs::read_dir(&directory).with_context(|| format!("list {directory}"))?;
        for thread in threads {
            let path = thread?.path().join("stat");
            let stat = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            // Behind the name, which is in brackets: proc_pid_stat(5).
            let state = stat.rsplit(") ").next().unwrap_or_default();
            if !state.starts_with('T') {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
