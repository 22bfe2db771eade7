//! Traffic in the background.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{Burst, Stage, Stamps};
use crate::rig::Cables;

/// Frames between two looks at the clock: far longer than the kernel takes to begin and to end.
const AT_ONCE: u32 = 1_000_000;

/// VMs that send in turn, at a rate, until this is dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<f64>>>,
}

impl Load {
    /// Begins to send, so many frames a second.
    ///
    /// # Errors
    /// When the programs cannot be loaded or the thread not be started.
    pub fn start(cables: &Cables, vms: Burst, rate: f64) -> Result<Self> {
        ensure!(rate > 0.0, "a rate of {rate} frames a second");
        let mut stamps = Stamps::new(cables)?;
        let interval = Duration::from_secs_f64(rate.recip());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let send = move || {
            let started = Instant::now();
            let (mut sent, mut next) = (0.0, 0);
            while !stopped.load(Ordering::Relaxed) {
                let those = Burst {
                    first: vms.first + next,
                    vms: vms.vms - next,
                    ..vms
                };
                let frames = stamps.pace_down(those, interval)?;
                sent += f64::from(frames);
                next = (next + frames) % vms.vms;
            }
            Ok(sent / started.elapsed().as_secs_f64())
        };
        let thread = thread::Builder::new().name("load".to_owned()).spawn(send);
        Ok(Self {
            stop,
            thread: Some(thread.context("start a thread for the load")?),
        })
    }

    /// Ends it, and says how many frames a second were sent.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn stop(mut self) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the load has no thread")?;
        thread.join().map_err(|_| anyhow!("the load panicked"))?
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How many frames of bound VMs a second the switch forwards.
///
/// # Errors
/// When they cannot be sent or counted.
pub fn capacity(stage: &mut Stage, vms: Burst, time: Duration) -> Result<f64> {
    let burst = Burst {
        frames: AT_ONCE,
        ..vms
    };
    let (before, started) = (stage.stamps.count_down()?, Instant::now());
    while started.elapsed() < time {
        stage.stamps.send_down(burst)?;
    }
    let count = stage.stamps.count_down()? - before;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
