//! The virtual machine, from its start to its end.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lab::{interrupt, process};
use vm::{Kernel, Qemu};

use crate::{guest::Guest, transcript::Transcript};

/// How long a guest may take for everything.
const PATIENCE: Duration = Duration::from_secs(900);

/// How often somebody who waits for a line looks for Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// One processor: emulating two costs a third more, as each has to be told of what the other writes. What can
/// go wrong between several is tested on the real machine.
const PROCESSORS: &str = "1";

/// For the files, which are in it twice while they are unpacked, and for the labs' maps.
const MEBIBYTES: &str = "1536";

/// What the kernel is told: to say little, to take an oops for a panic, and to reboot then, which ends the
/// machine. And to leave out what guards against other users or counts for them, because the verifier allocates
/// much, and verifying is most of what a guest does.
const COMMAND_LINE: &str = "console=ttyS0 quiet oops=panic panic=-1 \
                            mitigations=off init_on_alloc=0 cgroup_disable=memory";

/// Kills QEMU however the run ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Boots a kernel with a guest's files and listens until the machine ends.
///
/// # Errors
/// When QEMU does not start, and at Ctrl-C.
pub fn run(qemu: &Qemu, kernel: &Kernel, guest: &Guest, verbose: bool) -> Result<Transcript> {
    let mut command = Command::new(qemu.program());
    qemu.prepare(&mut command);
    command
        // Not microvm, with whose ACPI tables Linux 6.1 dies within its first second, two times in three.
        .args(["-machine", "pc", "-smp", PROCESSORS, "-m", MEBIBYTES])
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
        ])
        .arg("-kernel")
        .arg(kernel.image())
        .arg("-initrd")
        .arg(guest.archive())
        .args(["-append", COMMAND_LINE])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    process::tie(&mut command);
    let mut running = Running(command.spawn().context("start QEMU")?);

    let (lines, heard) = mpsc::channel();
    for pipe in [
        running
            .0
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        running
            .0
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ] {
        let lines = lines.clone();
        let pipe = pipe.context("QEMU's output is piped")?;
        thread::spawn(move || {
            // Bytes: a kernel that dies may write anything.
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
    }
    drop(lines);

    let started = Instant::now();
    let mut said = Transcript::default();
    while started.elapsed() < PATIENCE {
        interrupt::check()?;
        match heard.recv_timeout(TICK) {
            Ok(line) => {
                if verbose {
                    let seconds = started.elapsed().as_secs_f64();
                    println!("{seconds:>6.1} {}: {line}", kernel.suite());
                }
                said.text.push_str(&line);
                said.text.push('\n');
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(said),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    said.ended = Some(format!("the guest was not done after {PATIENCE:?}"));
    Ok(said)
}
