//! Keeping all frames that arrive, while the test does something else.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{RawReceiver, Received};
use crate::{Namespace, lock, namespace::join, poll_until};

/// How often a waiting thread looks whether it should stop.
const TICK: Duration = Duration::from_millis(20);

/// Keeps what arrives at an interface, in a thread of its own.
#[derive(Debug)]
pub struct Capture {
    stop: Arc<AtomicBool>,
    frames: Arc<Mutex<Vec<Received>>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Capture {
    /// Starts keeping what arrives at an interface.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        let mut receiver = RawReceiver::open(namespace, interface)?;
        let stop = Arc::new(AtomicBool::new(false));
        let frames = Arc::new(Mutex::new(Vec::new()));
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&frames));
        let thread = namespace.spawn(move || keep(&mut receiver, &stopped, &kept))?;
        Ok(Self {
            stop,
            frames,
            thread: Some(thread),
        })
    }

    /// How many frames have arrived.
    #[must_use]
    pub fn received(&self) -> usize {
        lock(&self.frames).len()
    }

    /// How many frames that are `wanted` have arrived.
    #[must_use]
    pub fn count(&self, mut wanted: impl FnMut(&[u8]) -> bool) -> usize {
        let frames = lock(&self.frames);
        frames.iter().filter(|got| wanted(&got.frame)).count()
    }

    /// Waits until `count` frames have arrived.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> Result<()> {
        let what = format!("{count} frames");
        poll_until(timeout, &what, || (self.received() >= count).then_some(()))
            .with_context(|| format!("{} arrived", self.received()))
    }

    /// Stops when nothing has arrived for a moment, and gives all frames.
    ///
    /// # Errors
    /// When the receiver itself has lost frames: then nothing can be said about them.
    pub fn finish(mut self) -> Result<Vec<Received>> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            join(thread)?;
        }
        Ok(std::mem::take(&mut *lock(&self.frames)))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn keep(
    receiver: &mut RawReceiver,
    stop: &AtomicBool,
    frames: &Mutex<Vec<Received>>,
) -> Result<()> {
    loop {
        // Read first: what arrived before the stop is kept, to the last frame.
        let stopped = stop.load(Ordering::Relaxed);
        match receiver.receive(TICK)? {
            Some(frame) => lock(frames).push(frame),
            None if stopped => break,
            None => {}
        }
    }
    match receiver.lost()? {
        0 => Ok(()),
        lost => bail!("the receiver had no room for {lost} frames"),
    }
}
