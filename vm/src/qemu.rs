//! A QEMU process: started, operated over QMP, stopped.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, ErrorKind, Read},
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use crate::qmp::Qmp;

/// How long QEMU may take from its start to its monitor.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(2);

/// A running machine. Dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    qmp: Qmp,
    /// Where the monitor's socket is.
    _directory: TempDir,
    said: Said,
    readers: Vec<JoinHandle<()>>,
}

/// What the guest's console and QEMU itself say, line by line.
type Said = Arc<Mutex<Vec<String>>>;

impl Machine {
    /// Starts a machine: `command` is QEMU with all that makes up the machine, in the namespace that
    /// it shall be in and tied to the thread that starts it. What is added is the monitor, and the
    /// first serial port as the guest's console.
    ///
    /// # Errors
    /// When QEMU does not start or ends at once; with what it said.
    pub fn start(mut command: Command) -> Result<Self> {
        let directory = tempfile::tempdir().context("make a directory for QEMU's monitor")?;
        let path = directory.path().join("qmp");
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("listen for QEMU's monitor on {}", path.display()))?;
        listener
            .set_nonblocking(true)
            .context("make a socket non-blocking")?;
        // QEMU connects, so there is nothing to wait for but one of its two possible ends.
        let mut monitor = OsString::from("socket,id=qmp,path=");
        monitor.push(&path);
        command
            .args(["-display", "none", "-serial", "stdio", "-chardev"])
            .arg(monitor)
            .args(["-mon", "chardev=qmp,mode=control"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let said = Said::default();
        let (mut child, mut readers) = spawn(command, &said)?;
        let connected = connection(&listener, &mut child).and_then(Qmp::new);
        match connected {
            Ok(qmp) => Ok(Self {
                child,
                qmp,
                _directory: directory,
                said,
                readers,
            }),
            Err(error) => {
                end(&mut child, &mut readers);
                Err(error.context(format!("start QEMU; it said:\n{}", lock(&said).join("\n"))))
            }
        }
    }

    /// Its monitor.
    #[must_use]
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What guest and QEMU have said so far.
    #[must_use]
    pub fn said(&self) -> String {
        lock(&self.said).join("\n")
    }

    /// Waits until the guest's console says a line with these words.
    ///
    /// # Errors
    /// When it does not in time, or QEMU ends; with what was said.
    pub fn wait_said(&mut self, words: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let ended = self.child.try_wait().context("look after QEMU")?;
            if lock(&self.said).iter().any(|line| line.contains(words)) {
                return Ok(());
            }
            if let Some(status) = ended {
                bail!(
                    "QEMU ended ({status}) before its guest said {words:?}; said was:\n{}",
                    self.said()
                );
            }
            if Instant::now() >= deadline {
                bail!(
                    "waited {timeout:?} in vain for a guest to say {words:?}; said was:\n{}",
                    self.said()
                );
            }
            thread::sleep(STEP);
        }
    }

    /// Has QEMU announce where the guest is, as after a migration: RARP in its name.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn announce(&self) -> Result<()> {
        // QEMU's own schedule: at 0, 50, 200, 450, 800 ms.
        let schedule = json!({"initial": 50, "max": 550, "rounds": 5, "step": 100});
        self.qmp.execute("announce-self", schedule).map(drop)
    }

    /// Kills QEMU and waits until it is gone.
    pub fn kill(&mut self) {
        end(&mut self.child, &mut self.readers);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the process from a thread that lives as long as it does: a process that is tied to its parent
/// ends with the thread that started it.
fn spawn(mut command: Command, said: &Said) -> Result<(Child, Vec<JoinHandle<()>>)> {
    let (report, started) = mpsc::channel();
    let kept = Arc::clone(said);
    let console = thread::Builder::new()
        .name("console".to_owned())
        .spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(report.send(Err(error))),
            };
            // Or the descriptors that only QEMU is to have stay open as long as this thread.
            drop(command);
            let console = child.stdout.take();
            // It is waited for, so there is somebody to send it to.
            drop(report.send(Ok(child)));
            collect(console, &kept);
        })
        .context("start a thread for QEMU's console")?;
    let mut child = started
        .recv()
        .context("the thread that starts QEMU has ended")?
        .context("start QEMU")?;
    let (errors, kept) = (child.stderr.take(), Arc::clone(said));
    let errors = thread::spawn(move || collect(errors, &kept));
    Ok((child, vec![console, errors]))
}

/// The monitor's connection, or the news that there will be none.
fn connection(listener: &UnixListener, child: &mut Child) -> Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket
                    .set_nonblocking(false)
                    .context("make a socket blocking")?;
                return Ok(socket);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("accept QEMU's monitor"),
        }
        if let Some(status) = child.try_wait().context("look after QEMU")? {
            bail!("QEMU ended ({status}) before its monitor was there");
        }
        if Instant::now() >= deadline {
            bail!("waited {PATIENCE:?} in vain for QEMU's monitor");
        }
        thread::sleep(STEP);
    }
}

/// Keeps the lines of a pipe until it is closed.
fn collect(pipe: Option<impl Read>, said: &Mutex<Vec<String>>) {
    let Some(pipe) = pipe else { return };
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        lock(said).push(String::from_utf8_lossy(&line).trim_end().to_owned());
    }
}

fn end(child: &mut Child, readers: &mut Vec<JoinHandle<()>>) {
    // Both fail when it has been waited for, and then there is nothing to do.
    drop(child.kill());
    drop(child.wait());
    for reader in readers.drain(..) {
        // They only read lines; had one panicked, they would merely be missing.
        drop(reader.join());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
