//! A TCP download of which every byte is checked.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::fd::{AsRawFd, RawFd},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::udp::is_timeout;
use crate::{Endpoint, lock, namespace::join, poll::patience, poll_until};

/// How long the connection may take, and how long the line may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a waiting thread looks whether it should stop.
const TICK: Duration = Duration::from_millis(20);
/// The pattern repeats after a prime number of bytes, so that a piece at the wrong place shows.
const PERIOD: usize = 65_521;
const CHUNK: usize = 1 << 16;

/// What a finished download was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// How many bytes arrived, all of them right.
    pub bytes: u64,
    /// From the connection to the last byte.
    pub elapsed: Duration,
    /// The longest time without a byte.
    pub longest_stall: Duration,
}

/// A download under way.
#[derive(Debug)]
pub struct Download {
    progress: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    turn: Arc<Turn>,
    /// The server's end, which the server closes when it is done.
    socket: Weak<TcpStream>,
    server: Option<JoinHandle<Result<()>>>,
    client: Option<JoinHandle<Result<Transfer>>>,
}

/// Whose turn it is: the server's, or somebody's who wants it to stand still.
#[derive(Debug, Default)]
struct Turn {
    /// Whether somebody waits. A mutex alone would go on to the server, which is always faster.
    wanted: AtomicBool,
    held: Mutex<()>,
}

impl Download {
    /// Connects `client` to a server started at `server`, which then sends `bytes` bytes, at
    /// most `rate` of them a second if that is given. The connection is up when this returns.
    ///
    /// # Errors
    /// When the connection cannot be made.
    pub fn start(
        server: &Endpoint,
        client: &Endpoint,
        bytes: u64,
        rate: Option<u64>,
    ) -> Result<Self> {
        let listener = server.listen()?;
        let stream = client.connect(server.addr, patience(PATIENCE))?;
        // The client has connected already, so this does not wait.
        let (socket, _) = listener
            .accept()
            .context("accept the client of a download")?;
        if let Some(rate) = rate {
            limit(socket.as_raw_fd(), rate).context("limit the rate of a download")?;
        }
        let progress = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let turn = Arc::new(Turn::default());
        let socket = Arc::new(socket);
        let watched = Arc::downgrade(&socket);
        let (stopped, awaited) = (Arc::clone(&stop), Arc::clone(&turn));
        let server = server
            .ns
            .spawn(move || serve(&socket, bytes, &awaited, &stopped))?;
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&progress));
        let client = client
            .ns
            .spawn(move || fetch(stream, bytes, &counted, &stopped))?;
        Ok(Self {
            progress,
            stop,
            turn,
            socket: watched,
            server: Some(server),
            client: Some(client),
        })
    }

    /// How many bytes have arrived.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` bytes have arrived.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_for(&self, bytes: u64, timeout: Duration) -> Result<()> {
        let what = format!("{bytes} bytes of a TCP download");
        poll_until(timeout, &what, || (self.progress() >= bytes).then_some(()))
            .with_context(|| format!("{} bytes arrived", self.progress()))
    }

    /// Holds the server for as long as the guard lives, as a paused guest sends nothing. What it
    /// has sent has been acknowledged when this returns, so TCP has nothing to send again either.
    ///
    /// # Errors
    /// When the acknowledgement does not come.
    pub fn pause(&self) -> Result<MutexGuard<'_, ()>> {
        self.turn.wanted.store(true, Ordering::Relaxed);
        let held = lock(&self.turn.held);
        self.turn.wanted.store(false, Ordering::Relaxed);
        poll_until(PATIENCE, "a paused download to be acknowledged", || {
            let waiting = self.socket.upgrade().map(|socket| unacknowledged(&socket));
            match waiting {
                Some(Ok(1..)) => None,
                Some(Err(error)) => Some(Err(error).context("ask TCP what it has in store")),
                Some(Ok(_)) | None => Some(Ok(())),
            }
        })??;
        Ok(held)
    }

    /// Waits for the end of the download.
    ///
    /// # Errors
    /// When a byte was wrong, the line was silent for too long, or the end does not come in time.
    pub fn finish(mut self, timeout: Duration) -> Result<Transfer> {
        poll_until(timeout, "the end of a TCP download", || {
            self.client
                .as_ref()
                .is_none_or(JoinHandle::is_finished)
                .then_some(())
        })
        .with_context(|| format!("{} bytes arrived", self.progress()))?;
        self.join()
    }

    /// Ends a download before its end, and judges what there was of it. Started with more bytes
    /// than anyone waits for, a download lasts exactly as long as a test needs it.
    ///
    /// # Errors
    /// When a byte was wrong, or the line was silent for too long.
    pub fn stop(mut self) -> Result<Transfer> {
        self.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    fn join(&mut self) -> Result<Transfer> {
        let client = self.client.take().context("the download has no client")?;
        let transfer = join(client)?;
        if let Some(server) = self.server.take() {
            join(server)?;
        }
        Ok(transfer)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Downloads `bytes` bytes and waits for the end.
///
/// # Errors
/// As [`Download::start`] and [`Download::finish`].
pub fn download(
    server: &Endpoint,
    client: &Endpoint,
    bytes: u64,
    timeout: Duration,
) -> Result<Transfer> {
    Download::start(server, client, bytes, None)?.finish(timeout)
}

fn pattern() -> Vec<u8> {
    // A chunk longer than the period, so that a chunk from anywhere in it is in one piece.
    (0..PERIOD + CHUNK)
        .map(|at| at % PERIOD)
        .map(|at| (at ^ at >> 8) as u8)
        .collect()
}

/// Where the byte of this number is in the pattern.
fn position(byte: u64) -> usize {
    (byte % PERIOD as u64) as usize
}

fn serve(mut stream: &TcpStream, bytes: u64, turn: &Turn, stop: &AtomicBool) -> Result<()> {
    stream
        .set_write_timeout(Some(patience(PATIENCE)))
        .context("set a write timeout")?;
    let pattern = pattern();
    let mut sent = 0;
    while sent < bytes && !stop.load(Ordering::Relaxed) {
        if turn.wanted.load(Ordering::Relaxed) {
            thread::yield_now();
            continue;
        }
        let _held = lock(&turn.held);
        let at = position(sent);
        let length = usize::try_from(bytes - sent)?.min(CHUNK);
        match stream.write(&pattern[at..at + length]) {
            Ok(count) => sent += count as u64,
            // The client of a stopped download just hangs up.
            Err(_) if stop.load(Ordering::Relaxed) => break,
            Err(error) => {
                return Err(error).with_context(|| format!("send from byte {sent} of a download"));
            }
        }
    }
    Ok(())
}

/// How many bytes TCP has yet to send, or may have to send again.
fn unacknowledged(socket: &TcpStream) -> std::io::Result<libc::c_int> {
    let mut bytes = 0;
    // SIOCOUTQ has the number of TIOCOUTQ.
    // SAFETY: the kernel writes an int to `bytes`, which outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } {
        0 => Ok(bytes),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Lets TCP itself pace the connection.
fn limit(socket: RawFd, rate: u64) -> std::io::Result<()> {
    let length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the value is of the length given and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_MAX_PACING_RATE,
            (&raw const rate).cast(),
            length,
        )
    };
    if result < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Receives the pattern until it is stopped.
pub(super) fn fetch(
    mut stream: TcpStream,
    bytes: u64,
    progress: &AtomicU64,
    stop: &AtomicBool,
) -> Result<Transfer> {
    stream
        .set_read_timeout(Some(TICK))
        .context("set a read timeout")?;
    let started = Instant::now();
    let (mut last, mut longest_stall) = (started, Duration::ZERO);
    let pattern = pattern();
    let mut buffer = vec![0; CHUNK];
    let mut got = 0;
    while got < bytes && !stop.load(Ordering::Relaxed) {
        let count = match stream.read(&mut buffer) {
            Ok(0) => bail!("the download ended after {got} of {bytes} bytes"),
            Ok(count) => count,
            Err(error) if is_timeout(error.kind()) && last.elapsed() < patience(PATIENCE) => {
                continue;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("receive byte {got} of a download"));
            }
        };
        let at = position(got);
        if buffer[..count] != pattern[at..at + count] {
            bail!(
                "wrong bytes between {got} and {} of a download",
                got + count as u64
            );
        }
        got += count as u64;
        progress.store(got, Ordering::Relaxed);
        let now = Instant::now();
        longest_stall = longest_stall.max(now.duration_since(last));
        last = now;
    }
    Ok(Transfer {
        bytes: got,
        elapsed: started.elapsed(),
        longest_stall,
    })
}
