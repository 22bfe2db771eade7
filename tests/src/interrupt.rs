//! Ctrl-C: a long run ends early, and still takes away all it has put up.
//!
//! A signal only sets a flag. Whatever waits looks at it and fails, so that everything is dropped
//! in its order, as at any other end.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::poll_until;

/// How often somebody who waits looks.
const STEP: Duration = Duration::from_millis(10);

static WANTED: AtomicBool = AtomicBool::new(false);

/// Begins to listen for SIGINT, SIGTERM and SIGHUP. Those after the first change nothing: cleaning
/// up is not to be interrupted.
///
/// # Errors
/// When the process can have no more threads or descriptors.
pub fn watch() -> Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .context("start a runtime for signals")?;
    let listening = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).context("listen for signals");
        (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        )
    };
    let wait = async move {
        let (mut interrupt, mut terminate, mut hangup) = listening;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        WANTED.store(true, Ordering::Relaxed);
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(wait))
        .context("start a thread for signals")?;
    Ok(())
}

/// Whether a signal has come.
#[must_use]
pub fn wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// Fails once a signal has come.
///
/// # Errors
/// Then.
pub fn check() -> Result<()> {
    if wanted() {
        bail!("interrupted");
    }
    Ok(())
}

/// As [`poll_until`], but a signal ends it.
///
/// # Errors
/// Then too.
pub fn wait_until<T>(
    timeout: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let value = poll_until(timeout, what, || {
        if wanted() {
            Some(None)
        } else {
            condition().map(Some)
        }
    })?;
    value.context("interrupted")
}

/// Lets the traffic run for so long.
///
/// # Errors
/// When a signal ends it.
pub fn idle(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}
