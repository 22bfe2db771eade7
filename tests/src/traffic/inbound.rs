//! A TCP stream that somebody sends to us, of which every byte is checked.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::tcp::{Transfer, fetch};
use crate::{Endpoint, namespace::join, poll_until};

/// How often a waiting thread looks whether it should stop.
const TICK: Duration = Duration::from_millis(20);

/// Waits for one connection and receives the pattern of a [`super::Download`] without end.
#[derive(Debug)]
pub struct Inbound {
    at: SocketAddr,
    progress: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Transfer>>>,
}

impl Inbound {
    /// Starts listening at an endpoint.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn listen(at: &Endpoint) -> Result<Self> {
        let listener = at.listen()?;
        let progress = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (counted, stopped) = (Arc::clone(&progress), Arc::clone(&stop));
        let thread = at
            .ns
            .spawn(move || receive(&listener, &counted, &stopped))?;
        Ok(Self {
            at: at.addr,
            progress,
            stop,
            thread: Some(thread),
        })
    }

    /// How many bytes have arrived.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` more have arrived.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_for_more(&self, bytes: u64, timeout: Duration) -> Result<()> {
        let goal = self.progress() + bytes;
        let what = format!("{bytes} more bytes of a TCP stream to {}", self.at);
        poll_until(timeout, &what, || (self.progress() >= goal).then_some(()))
    }

    /// Ends it, and judges what there was of it.
    ///
    /// # Errors
    /// When a byte was wrong, or the line was silent for too long.
    pub fn stop(mut self) -> Result<Transfer> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the receiver has no thread")?;
        join(thread)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn receive(listener: &TcpListener, progress: &AtomicU64, stop: &AtomicBool) -> Result<Transfer> {
    listener
        .set_nonblocking(true)
        .context("make a socket non-blocking")?;
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(TICK),
            Err(error) => return Err(error).context("accept a TCP stream"),
        }
        if stop.load(Ordering::Relaxed) {
            bail!("nobody connected");
        }
    };
    stream
        .set_nonblocking(false)
        .context("make a socket blocking")?;
    fetch(stream, u64::MAX, progress, stop)
}
