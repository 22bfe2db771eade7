//! The control device as a process that can be killed.

use std::{
    env,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Moved, Report, epoch};
use crate::{Agent, Namespace, agent::binary, interrupt::wait_until};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running control device. Dropping it kills it.
#[derive(Debug)]
pub struct ControlDevice {
    child: Child,
    reports: Reports,
}

/// What it has said so far.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<Mutex<Vec<Report>>>);

impl ControlDevice {
    /// Starts it in a namespace, with network data from a file, and waits until it listens. The program
    /// that calls this must run [`run`](super::run) with the arguments behind `control-device`.
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    pub fn start(
        ns: &Namespace,
        listen: SocketAddr,
        network_data: &Path,
        switch: &Agent,
    ) -> Result<Self> {
        let program = env::current_exe().context("find this program")?;
        let mut command = ns.command(program);
        command
            .arg("control-device")
            .args(["--listen", &listen.to_string()])
            .arg("--network-data")
            .arg(network_data)
            .arg("--switch-agent")
            .arg(binary()?)
            .args(["--instance", switch.instance()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A terminal's Ctrl-C is for us: we end it.
            .process_group(0);
        let mut child = command.spawn().context("start the control device")?;
        let reports = Reports::default();
        if let Some(out) = child.stdout.take() {
            let reports = reports.clone();
            thread::spawn(move || reports.collect(out));
        }
        let mut device = Self { child, reports };
        let (child, reports) = (&mut device.child, &device.reports);
        let ended = wait_until(PATIENCE, "the control device to listen", || {
            if reports.with(|all| all.contains(&Report::Ready)) {
                return Some(None);
            }
            child.try_wait().ok().flatten().map(Some)
        })?;
        ensure!(ended.is_none(), "the control device ended: {ended:?}");
        Ok(device)
    }

    /// What it says.
    #[must_use]
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill the control device")?;
        let status = self.child.wait().context("wait for the control device")?;
        ensure!(
            status.signal().is_some(),
            "the control device had ended by itself before it was killed: {status}"
        );
        Ok(())
    }
}

impl Drop for ControlDevice {
    fn drop(&mut self) {
        // Both fail when it is gone, and then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Reports {
    /// The moves it has reported.
    #[must_use]
    pub fn moves(&self) -> Vec<Moved> {
        self.with(|all| {
            let moves = all.iter().filter_map(|report| match report {
                Report::Moved(moved) => Some(*moved),
                Report::Ready => None,
            });
            moves.collect()
        })
    }

    fn with<T>(&self, read: impl FnOnce(&mut Vec<Report>) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what it says until it ends.
    fn collect(&self, out: ChildStdout) {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // A line that is none of its reports would be missed by those who wait for it.
            if let Ok(report) = serde_json::from_str(&line) {
                self.with(|all| all.push(report));
            }
        }
    }
}

impl Moved {
    /// When the helper's message was there.
    #[must_use]
    pub fn heard(&self) -> Instant {
        instant(self.heard)
    }

    /// When the switch had done it.
    #[must_use]
    pub fn done(&self) -> Instant {
        instant(self.done)
    }
}

/// A time since the Unix epoch as this process's own.
fn instant(time: Duration) -> Instant {
    let (now, since_epoch) = (Instant::now(), epoch());
    now - since_epoch.saturating_sub(time)
}
