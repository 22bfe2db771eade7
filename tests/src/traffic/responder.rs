//! A server that answers every packet, and that can stand still as a paused guest does.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv, setsockopt, sockopt::RcvBufForce},
};

use super::udp::is_timeout;
use crate::{Endpoint, lock, namespace::join};

/// How often a waiting thread looks whether it should stop.
const TICK: Duration = Duration::from_millis(20);
/// More than any packet.
const LONGEST: usize = 1 << 16;

/// Answers every packet with the same one until it is stopped.
#[derive(Debug)]
pub struct Responder {
    server: Arc<Server>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug)]
struct Server {
    socket: UdpSocket,
    answer_to: SocketAddr,
    stop: AtomicBool,
    turn: Mutex<()>,
    unheard: AtomicU64,
}

/// A [`Responder`] that stands still. It goes on when this is dropped, and has not heard what
/// arrived meanwhile.
#[derive(Debug)]
pub struct Paused<'a> {
    server: &'a Server,
    _turn: MutexGuard<'a, ()>,
}

impl Responder {
    /// Starts answering what arrives at an endpoint. All answers go to one address, so that who
    /// asks can have one socket for sending and one for receiving.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn start(at: &Endpoint, answer_to: SocketAddr) -> Result<Self> {
        let socket = at.udp()?;
        // Room for what arrives in a pause, so that all of it is counted.
        setsockopt(&socket, RcvBufForce, &(16 << 20)).context("enlarge the receive buffer")?;
        socket
            .set_read_timeout(Some(TICK))
            .context("set a read timeout")?;
        let server = Arc::new(Server {
            socket,
            answer_to,
            stop: AtomicBool::new(false),
            turn: Mutex::default(),
            unheard: AtomicU64::new(0),
        });
        let serving = Arc::clone(&server);
        let thread = at.ns.spawn(move || serving.answer())?;
        Ok(Self {
            server,
            thread: Some(thread),
        })
    }

    /// Holds the responder for as long as the guard lives.
    pub fn pause(&self) -> Paused<'_> {
        Paused {
            server: &self.server,
            _turn: lock(&self.server.turn),
        }
    }

    /// Stops answering, and says how many packets arrived while it stood still.
    ///
    /// # Errors
    /// When receiving or answering failed.
    pub fn stop(mut self) -> Result<u64> {
        self.server.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            join(thread)?;
        }
        Ok(self.server.unheard.load(Ordering::Relaxed))
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.server.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // An error is the socket's own, and the responder will meet it too.
        while let Ok(Some(_)) = self.server.receive(&mut [0; LONGEST]) {
            self.server.unheard.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Server {
    fn answer(&self) -> Result<()> {
        let mut buffer = [0; LONGEST];
        while !self.stop.load(Ordering::Relaxed) {
            // A packet is only taken when it is this thread's turn: one in its hands would be
            // answered after a pause.
            match self.socket.peek(&mut [0]) {
                Ok(_) => {}
                Err(error) if is_timeout(error.kind()) => continue,
                Err(error) => return Err(error).context("wait for UDP packets to answer"),
            }
            let _turn = lock(&self.turn);
            let received = self.receive(&mut buffer);
            if let Some(length) = received.context("receive a UDP packet to answer")? {
                self.socket
                    .send_to(&buffer[..length], self.answer_to)
                    .with_context(|| format!("answer a UDP packet to {}", self.answer_to))?;
            }
        }
        Ok(())
    }

    /// Takes a packet if one is there, and gives its length.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
