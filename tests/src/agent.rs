//! A running `switch-agent` that leaves nothing behind.

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

mod identity;
mod output;
mod running;
mod stats;
mod stopped;
mod told;

use crate::{Namespace, lock, poll_until, process};
use output::{collect, output_within};

pub use identity::{BINARY, binary, instance};
pub use running::Running;
pub use stats::Stats;

/// How long a command other than `run` and `gateway` may take.
const CLI_PATIENCE: Duration = Duration::from_secs(10);

/// A `switch-agent` process in a namespace.
///
/// Dropping it kills the process and runs `detach` for its instance. If this very process is
/// killed, the agent goes with it.
#[derive(Debug)]
pub struct Agent {
    namespace: Namespace,
    binary: PathBuf,
    instance: String,
    child: Child,
    stderr: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    /// Whether the next process of the instance cleans up, as after [`Agent::restart`].
    left_alone: bool,
}

impl Agent {
    /// Starts the binary under test with a fresh instance name. `arguments` is what follows
    /// `--instance NAME`, so it begins with `run` or `gateway`.
    ///
    /// # Errors
    /// When the binary is not named or does not start.
    pub fn start(namespace: &Namespace, arguments: &[&str]) -> Result<Self> {
        Self::start_as(namespace, &instance(), arguments)
    }

    /// Starts the binary under test as an instance that may have run before.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn start_as(namespace: &Namespace, instance: &str, arguments: &[&str]) -> Result<Self> {
        Self::start_binary(&binary()?, namespace, instance, arguments)
    }

    /// As [`Agent::start_as`], with another binary.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn start_binary(
        binary: &Path,
        namespace: &Namespace,
        instance: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["--instance", instance])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        process::tie(&mut command);
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&stderr);
        let (report, started) = mpsc::channel();
        // The thread that starts a process is the parent whose death it notices. So that is a
        // thread of the namespace which goes on reading until the process is gone.
        let reader = namespace.spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(report.send(Err(error))),
            };
            let pipe = child.stderr.take();
            // The agent waits for the answer, so there is always somebody to send it to.
            drop(report.send(Ok(child)));
            collect(pipe, &lines);
        })?;
        let child = started
            .recv()
            .context("the thread that starts the process has ended")?
            .with_context(|| format!("start {} in {}", binary.display(), namespace.name()))?;
        Ok(Self {
            namespace: namespace.clone(),
            binary: binary.to_owned(),
            instance: instance.to_owned(),
            child,
            stderr,
            reader: Some(reader),
            left_alone: false,
        })
    }

    /// The name it runs under.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        lock(&self.stderr).join("\n")
    }

    /// Waits until it says on stderr that it is `ready`, as a word of its own.
    ///
    /// # Errors
    /// When it ends instead, or takes longer than `timeout`; with what it said.
    pub fn wait_ready(&mut self, timeout: Duration) -> Result<()> {
        let ready = |line: &str| {
            line.split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "ready")
        };
        self.wait_line("that it is ready", timeout, ready)
    }

    /// Waits until a line on stderr is as `wanted`, which `what` describes.
    ///
    /// # Errors
    /// As [`Agent::wait_ready`].
    pub fn wait_line(
        &mut self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let lines = Arc::clone(&self.stderr);
        let said = || lock(&lines).iter().any(|line| wanted(line));
        let child = &mut self.child;
        let ended = poll_until(timeout, &format!("switch-agent to say {what}"), || {
            if said() {
                Some(None)
            } else {
                child.try_wait().ok().flatten().map(Some)
            }
        })
        .with_context(|| self.said())?;
        let Some(status) = ended else { return Ok(()) };
        // The reader may be a line behind the end of the process.
        self.join_reader();
        if said() {
            return Ok(());
        }
        bail!(
            "switch-agent ended ({status}) before it said {what}; {}",
            self.said()
        )
    }

    /// Kills it with no chance to clean up, and waits until it is gone. What it pinned stays.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill9(&mut self) -> Result<()> {
        self.child.kill().context("kill switch-agent")?;
        let status = self
            .child
            .wait()
            .context("wait for the killed switch-agent")?;
        self.join_reader();
        if status.signal() != Some(Signal::SIGKILL as i32) {
            bail!(
                "switch-agent had ended by itself ({status}) before it was killed; {}",
                self.said()
            );
        }
        Ok(())
    }

    /// Sends it SIGINT and waits for its end.
    ///
    /// # Errors
    /// When it has not ended after `timeout`.
    pub fn interrupt(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGINT)?;
        self.wait_exit(timeout)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, signal).with_context(|| format!("send {signal} to switch-agent"))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended after `timeout`.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let child = &mut self.child;
        let status = poll_until(timeout, "switch-agent to end", || {
            child.try_wait().transpose()
        })
        .with_context(|| self.said())?
        .context("wait for switch-agent")?;
        self.join_reader();
        Ok(status)
    }

    /// The same binary for the same instance in the same namespace, as an operator would run it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.namespace.command(&self.binary);
        command
            .args(["--instance", &self.instance])
            .args(arguments)
            .stdin(Stdio::null())
            // Or Ctrl-C would end the one that cleans up.
            .process_group(0);
        command
    }

    /// Runs [`Agent::command`] to its end.
    ///
    /// # Errors
    /// When it does not start or hangs. That it fails is in the output.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        output_within(self.command(arguments), CLI_PATIENCE)
            .with_context(|| format!("run {} {arguments:?}", self.binary.display()))
    }

    /// Runs a command that must succeed, and gives its standard output.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn cli_ok(&self, arguments: &[&str]) -> Result<String> {
        let Output {
            status,
            stdout,
            stderr,
        } = self.cli(arguments)?;
        if !status.success() {
            let stderr = String::from_utf8_lossy(&stderr);
            bail!(
                "switch-agent {arguments:?} failed ({status}): {}",
                stderr.trim()
            );
        }
        String::from_utf8(stdout).with_context(|| format!("read what {arguments:?} said"))
    }

    /// Starts the same instance again, in the same namespace, on what this one has left. The
    /// process must have ended, by [`Agent::kill9`] for instance; else it is killed.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn restart(self, arguments: &[&str]) -> Result<Self> {
        let binary = self.binary.clone();
        self.replace(&binary, arguments)
    }

    /// As [`Agent::restart`], with another binary.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn replace(mut self, binary: &Path, arguments: &[&str]) -> Result<Self> {
        self.end();
        let next = Self::start_binary(binary, &self.namespace, &self.instance, arguments)?;
        self.left_alone = true;
        Ok(next)
    }

    fn said(&self) -> String {
        format!("it said:\n{}", self.stderr())
    }

    /// Makes sure that the process has ended.
    fn end(&mut self) {
        // Both fail when it has been waited for, and then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
        self.join_reader();
    }

    fn join_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            // It only reads lines; had it panicked, they would merely be missing.
            drop(reader.join());
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
        // Whether or not there is something to remove: nothing must be left.
        if !self.left_alone {
            drop(self.cli(&["detach"]));
        }
    }
}
