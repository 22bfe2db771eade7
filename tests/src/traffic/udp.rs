//! Numbered UDP packets, and echo.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};

use super::UdpReport;
use crate::{Endpoint, lock, namespace::join, poll_until};

/// How often a waiting thread looks whether it should stop.
const TICK: Duration = Duration::from_millis(20);
const NUMBER: usize = size_of::<u64>();

/// Sends numbered packets until it is stopped.
#[derive(Debug)]
pub struct UdpSender {
    stop: Arc<AtomicBool>,
    turn: Arc<Mutex<()>>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl UdpSender {
    /// Starts sending packets of `size` bytes (at least eight: the number, big-endian) from one
    /// endpoint to another, one every `interval`; with an interval of zero, back to back.
    ///
    /// # Errors
    /// When the sending socket cannot be opened.
    pub fn start(from: &Endpoint, to: SocketAddr, interval: Duration, size: usize) -> Result<Self> {
        let socket = from.udp()?;
        let stop = Arc::new(AtomicBool::new(false));
        let turn = Arc::new(Mutex::new(()));
        let sent = Arc::new(AtomicU64::new(0));
        let stream = Stream {
            socket,
            to,
            interval,
            packet: vec![0; size.max(NUMBER)],
            stop: Arc::clone(&stop),
            turn: Arc::clone(&turn),
            sent: Arc::clone(&sent),
        };
        let thread = from.ns.spawn(move || stream.run())?;
        Ok(Self {
            stop,
            turn,
            sent,
            thread: Some(thread),
        })
    }

    /// How many packets have been sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Holds the sender for as long as the guard lives, as a paused guest sends nothing.
    pub fn pause(&self) -> MutexGuard<'_, ()> {
        lock(&self.turn)
    }

    /// Stops sending, and gives the number of packets sent.
    ///
    /// # Errors
    /// When sending failed.
    pub fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            join(thread)?;
        }
        Ok(self.sent())
    }
}

impl Drop for UdpSender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Stream {
    socket: UdpSocket,
    to: SocketAddr,
    interval: Duration,
    packet: Vec<u8>,
    stop: Arc<AtomicBool>,
    turn: Arc<Mutex<()>>,
    sent: Arc<AtomicU64>,
}

impl Stream {
    fn run(mut self) -> Result<()> {
        let mut due = Instant::now();
        for number in 0_u64.. {
            // This is the pace of the stream, not the wait for a condition.
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let turn = lock(&self.turn);
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            self.packet[..NUMBER].copy_from_slice(&number.to_be_bytes());
            self.socket
                .send_to(&self.packet, self.to)
                .with_context(|| format!("send UDP packet {number} to {}", self.to))?;
            self.sent.store(number + 1, Ordering::Relaxed);
            drop(turn);
            // After a pause the stream goes on at its pace instead of catching up.
            due = (due + self.interval).max(Instant::now());
        }
        Ok(())
    }
}

/// Receives a numbered stream.
#[derive(Debug)]
pub struct UdpReceiver {
    stop: Arc<AtomicBool>,
    arrivals: Arc<Mutex<Vec<(u64, Instant)>>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl UdpReceiver {
    /// Starts receiving at an endpoint.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn start(at: &Endpoint) -> Result<Self> {
        let socket = at.udp()?;
        setsockopt(&socket, RcvBufForce, &(16 << 20)).context("enlarge the receive buffer")?;
        socket
            .set_read_timeout(Some(TICK))
            .context("set a read timeout")?;
        let stop = Arc::new(AtomicBool::new(false));
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&arrivals));
        let thread = at.ns.spawn(move || receive(&socket, &stopped, &kept))?;
        Ok(Self {
            stop,
            arrivals,
            thread: Some(thread),
        })
    }

    /// How many packets have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        lock(&self.arrivals).len() as u64
    }

    /// When the first packet of this number or a higher one arrived, if one has.
    #[must_use]
    pub fn arrival_from(&self, number: u64) -> Option<Instant> {
        let arrivals = lock(&self.arrivals);
        let arrival = arrivals.iter().find(|(arrived, _)| *arrived >= number);
        arrival.map(|(_, at)| *at)
    }

    /// Waits until `count` packets have arrived.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_for(&self, count: u64, timeout: Duration) -> Result<()> {
        let what = format!("{count} UDP packets");
        poll_until(timeout, &what, || (self.received() >= count).then_some(()))
            .with_context(|| format!("{} arrived", self.received()))
    }

    /// Gives packets that are still on their way up to `patience`, and judges the stream, of
    /// which `sent` packets were sent. Lost packets are no error here.
    ///
    /// # Errors
    /// When receiving failed.
    pub fn finish(mut self, sent: u64, patience: Duration) -> Result<UdpReport> {
        // What is missing then is in the report.
        let _late = self.wait_for(sent, patience);
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            join(thread)?;
        }
        let arrivals = std::mem::take(&mut *lock(&self.arrivals));
        Ok(UdpReport::new(sent, arrivals))
    }
}

impl Drop for UdpReceiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn receive(
    socket: &UdpSocket,
    stop: &AtomicBool,
    arrivals: &Mutex<Vec<(u64, Instant)>>,
) -> Result<()> {
    let mut buffer = [0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let at = Instant::now();
                let Some(number) = buffer[..length].first_chunk() else {
                    bail!("a UDP packet of {length} bytes has no number");
                };
                lock(arrivals).push((u64::from_be_bytes(*number), at));
            }
            Err(error) if is_timeout(error.kind()) => {}
            Err(error) => return Err(error).context("receive UDP packets"),
        }
    }
    Ok(())
}

pub(super) fn is_timeout(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Sends `count` numbered packets of `size` bytes from one endpoint to another, and judges what
/// arrives within `patience`.
///
/// # Errors
/// As [`UdpSender::start`] and [`UdpReceiver::finish`]; lost packets are no error here.
pub fn stream(
    from: &Endpoint,
    to: &Endpoint,
    count: u64,
    size: usize,
    patience: Duration,
) -> Result<UdpReport> {
    let receiver = UdpReceiver::start(to)?;
    let sender = UdpSender::start(from, to.addr, Duration::from_micros(100), size)?;
    poll_until(patience, "UDP packets to be sent", || {
        (sender.sent() >= count).then_some(())
    })?;
    receiver.finish(sender.stop()?, patience)
}

/// Sends a packet from one endpoint to another and the same one back, and says how long that
/// took. It is sent once: a loss is an error.
///
/// # Errors
/// When either does not arrive within the time, and which.
pub fn ping(from: &Endpoint, to: &Endpoint, timeout: Duration) -> Result<Duration> {
    let (near, far) = (from.udp()?, to.udp()?);
    near.set_read_timeout(Some(timeout))
        .context("set a read timeout")?;
    far.set_read_timeout(Some(timeout))
        .context("set a read timeout")?;
    let (there, back) = (
        format!("{} to {}", from.addr, to.addr),
        format!("{} to {}", to.addr, from.addr),
    );
    let started = Instant::now();
    near.send_to(b"ping", to.addr)
        .with_context(|| format!("send a packet from {there}"))?;
    let mut buffer = [0; 16];
    let (length, asker) = far
        .recv_from(&mut buffer)
        .with_context(|| format!("wait for the packet from {there}"))?;
    far.send_to(&buffer[..length], asker)
        .with_context(|| format!("send a packet from {back}"))?;
    near.recv(&mut buffer)
        .with_context(|| format!("wait for the packet from {back}"))?;
    Ok(started.elapsed())
}
