//! Reading what processes say, without waiting for ever.

use std::{
    io::{BufRead, BufReader},
    process::{ChildStderr, Command, Output, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{lock, poll::patience};

/// Keeps the lines of a process until it closes the pipe.
pub(super) fn collect(pipe: Option<ChildStderr>, lines: &Mutex<Vec<String>>) {
    let Some(pipe) = pipe else { return };
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        lock(lines).push(String::from_utf8_lossy(&line).into_owned());
    }
}

/// Runs a command to its end, or kills it when that does not come in time.
pub(super) fn output_within(mut command: Command, timeout: Duration) -> Result<Output> {
    let timeout = patience(timeout);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start")?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    // Both pipes must be read meanwhile, or a talkative process would wait for us.
    let (done, ended) = mpsc::channel();
    let reader = thread::spawn(move || {
        let output = child.wait_with_output();
        // Nobody may be waiting any more.
        let _ = done.send(());
        output
    });
    let ended = ended.recv_timeout(timeout);
    if ended.is_err() {
        // The reader has not waited for the process yet, so the number is still its own.
        kill(pid, Signal::SIGKILL).context("kill the command that hangs")?;
    }
    let output = reader
        .join()
        .map_err(|_| anyhow!("the reader of the command panicked"))?;
    ended.with_context(|| format!("waited {timeout:?} in vain for the command to end"))?;
    output.context("read what the command says")
}
