//! A thread that owns what it works on, reads rings, and is told things by letters.

use std::{
    array::from_fn,
    io,
    os::fd::AsFd,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use aya::maps::{MapData, RingBuf};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
    time::{ClockId, clock_gettime},
};

/// The worker, from outside.
#[derive(Debug)]
pub struct Handle<L> {
    letters: mpsc::Sender<L>,
    wake: Arc<EventFd>,
    stop: Arc<AtomicBool>,
}

/// The worker's own end.
#[derive(Debug)]
pub struct Inbox<L> {
    letters: mpsc::Receiver<L>,
    wake: Arc<EventFd>,
    stop: Arc<AtomicBool>,
}

/// A worker's two ends.
///
/// # Errors
/// There is no descriptor left.
pub fn worker<L>() -> nix::Result<(Handle<L>, Inbox<L>)> {
    let (sender, receiver) = mpsc::channel();
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let wake = Arc::new(EventFd::from_flags(flags)?);
    let stop = Arc::<AtomicBool>::default();
    let handle = Handle {
        letters: sender,
        wake: Arc::clone(&wake),
        stop: Arc::clone(&stop),
    };
    let inbox = Inbox {
        letters: receiver,
        wake,
        stop,
    };
    Ok((handle, inbox))
}

impl<L> Clone for Handle<L> {
    fn clone(&self) -> Self {
        Self {
            letters: self.letters.clone(),
            wake: Arc::clone(&self.wake),
            stop: Arc::clone(&self.stop),
        }
    }
}

impl<L> Handle<L> {
    /// Sends a letter.
    ///
    /// # Errors
    /// The worker has ended, or cannot be woken.
    pub fn send(&self, letter: L) -> io::Result<()> {
        let ended = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.letters.send(letter).map_err(ended)?;
        Ok(self.wake()?)
    }

    /// Has the worker finish what it has begun, and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Err(error) = self.wake() {
            tracing::warn!(%error, "cannot wake a thread; it ends when it wakes by itself");
        }
    }

    fn wake(&self) -> nix::Result<()> {
        self.wake.write(1).map(drop)
    }
}

impl<L> Inbox<L> {
    /// Waits for one of the rings, for a letter or for the end of the time. Whether each ring has
    /// anything in it, finished or not.
    ///
    /// # Errors
    /// What the kernel has against it.
    pub fn wait<const N: usize>(
        &self,
        rings: [&RingBuf<MapData>; N],
        timeout: PollTimeout,
    ) -> nix::Result<[bool; N]> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![readable(self.wake.as_fd())];
        fds.extend(rings.map(|ring| readable(ring.as_fd())));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let ready = |place: usize| fds[place].any().unwrap_or(false);
        if ready(0) {
            // Its count does not matter, and an empty one is no failure.
            let _ = self.wake.read();
        }
        Ok(from_fn(|ring| ready(ring + 1)))
    }

    /// The next letter, if there is one.
    pub fn letter(&self) -> Option<L> {
        self.letters.try_recv().ok()
    }

    /// Whether the worker is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Has the calling thread go before ordinary ones when it wakes, as Open vSwitch's daemon does: on a busy
/// machine it would wait for milliseconds behind whoever computes.
///
/// # Errors
/// It may not: that takes CAP_SYS_NICE.
pub fn go_first() -> nix::Result<()> {
    const NICE: libc::c_int = -10;
    // SAFETY: no pointers. On Linux 0 is the calling thread alone.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) }).map(drop)
}

/// Waits for a worker's end. A panic there goes on here.
///
/// # Errors
/// What the worker ended with.
pub fn join<E>(thread: JoinHandle<Result<(), E>>) -> Result<(), E> {
    match thread.join() {
        Ok(ended) => ended,
        Err(panic) => resume_unwind(panic),
    }
}

/// The clock of `bpf_ktime_get_ns`.
///
/// # Errors
/// There is no such clock, which does not happen.
pub fn now_ns() -> nix::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let (seconds, nanoseconds) = (now.tv_sec().unsigned_abs(), now.tv_nsec().unsigned_abs());
    Ok(seconds * 1_000_000_000 + nanoseconds)
}
