//! Sending whole Ethernet frames out of a port, through an AF_PACKET socket.
//!
//! # How long a frame may be
//! `packet_snd` in the kernel's `net/packet/af_packet.c` takes a frame of up to MTU + 14 bytes, and
//! 4 more if its outermost tag is 802.1Q (0x8100). A frame tagged 802.1ad (0x88a8) does not get the
//! 4 more: a trunk whose sites use it needs an MTU 4 above the client's. Longer frames are skipped
//! and counted.
//!
//! # Order
//! PACKET_QDISC_BYPASS hands the frame straight to the driver, as an XDP redirect does. On a veth
//! both then go through the same ring, so neither overtakes the other, provided that the port's TSO
//! is off (see [`crate::ports`]) and it has one queue. On hardware with a queue a CPU for XDP the
//! order between the two is up to the card.
//!
//! # Loss
//! A full device is waited for. On a veth that needs a kernel that tells of a full ring: 151e887d8ff9
//! ("veth: Fixing transmit return status for dropped packets", Linux 6.6 and the stable kernels
//! after it); before, such a frame counts as sent and is lost.

mod error;
#[cfg(test)]
mod tests;

use std::{
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use super::link::Link;

pub use error::SendError;

/// Frames given to the kernel by one system call.
const BATCH: usize = 64;
/// Bytes of socket buffer asked for (the kernel doubles it for its own overhead).
const SEND_BUFFER: libc::c_int = 8 * 1024 * 1024;
/// How long to wait for a full device by default.
const PATIENCE: Duration = Duration::from_millis(100);

/// A socket that sends frames out of one port and receives nothing.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
    port: String,
    patience: Duration,
    /// The last frame waited in vain: waiting for the next ones as well would hold up the caller's
    /// other ports. Cleared by the first frame that goes.
    stuck: bool,
}

/// What became of a batch: each frame is counted exactly once.
#[derive(Debug, Default)]
#[must_use]
pub struct Sent {
    /// Frames that the device took.
    pub sent: usize,
    /// Frames longer than the port lets through, skipped.
    pub too_big: usize,
    /// Frames not sent because of `error`.
    pub failed: usize,
    /// The first error other than that a frame was too big.
    pub error: Option<SendError>,
    /// The places of the frames that were skipped, in their order. Those in front of them, between
    /// them and behind them are sent, but for the last ones where `error` ended the batch.
    pub skipped: Vec<usize>,
}

impl Sent {
    /// The next frame is skipped.
    fn skip(&mut self) {
        self.skipped.push(self.sent + self.skipped.len());
    }
}

impl PacketSocket {
    /// Opens a socket that sends out of `port`, a link of the calling thread's network namespace.
    /// It may then be used from any thread, and goes on working when the port goes down and up.
    ///
    /// # Errors
    /// [`SendError::Gone`] when the port is not there, [`SendError::Socket`] for all else.
    pub fn open(port: &Link) -> Result<Self, SendError> {
        let fail = |what| {
            let (port, source) = (port.name.clone(), io::Error::last_os_error());
            match source.raw_os_error() {
                Some(libc::ENODEV | libc::ENXIO) => SendError::Gone { port },
                _ => SendError::Socket { port, what, source },
            }
        };
        // Protocol 0: nothing is ever received.
        // SAFETY: socket(2) has no preconditions.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(fail("open a socket for"));
        }
        // SAFETY: the descriptor was just opened and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };

        set_option(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
            .map_err(|()| fail("bypass the queueing of"))?;
        // Beyond net.core.wmem_max where allowed, else as much as that.
        set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER)
            .or_else(|()| set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER))
            .map_err(|()| fail("make room to send to"))?;

        // SAFETY: sockaddr_ll is plain old data, for which all zeroes is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_ifindex = port.index.cast_signed();
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is a valid sockaddr_ll of that length and lives across the call.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
        if bound < 0 {
            return Err(fail("bind a socket to"));
        }
        Ok(Self {
            socket,
            port: port.name.clone(),
            patience: PATIENCE,
            stuck: false,
        })
    }

    /// Sets how long [`Self::send_batch`] waits for a device whose queue is full, counted from the
    /// last frame that went.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sends the frames in their order, each a whole Ethernet frame without FCS. A tag is part of
    /// the frame's bytes.
    ///
    /// Blocks while the device's queue is full, up to the patience since the last frame that went,
    /// so that a burst is not lost. Once that was in vain, frames are no longer waited for until
    /// one goes again. Allocates nothing unless something fails.
    ///
    /// A frame that is too big or malformed is skipped and those behind it still go; any other
    /// error ends the batch.
    pub fn send_batch<'a>(&mut self, frames: impl IntoIterator<Item = &'a [u8]>) -> Sent {
        let mut frames = frames.into_iter();
        let mut sent = Sent::default();
        let mut batch: [&[u8]; BATCH] = [&[]; BATCH];
        loop {
            let mut filled = 0;
            for (slot, frame) in batch.iter_mut().zip(&mut frames) {
                *slot = frame;
                filled += 1;
            }
            if filled == 0 {
                return sent;
            }
            if let Err(left) = self.send_all(&batch[..filled], &mut sent) {
                sent.failed += left + frames.count();
                return sent;
            }
        }
    }

    /// Sends at most [`BATCH`] frames. `Err` is the number that are left after an error that ends
    /// the batch.
    fn send_all(&mut self, frames: &[&[u8]], sent: &mut Sent) -> Result<(), usize> {
        let mut vectors = [const {
            libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: 0,
            }
        }; BATCH];
        // SAFETY: mmsghdr is plain old data, for which all zeroes is a valid value.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for ((header, vector), frame) in headers.iter_mut().zip(&mut vectors).zip(frames) {
            // The kernel only reads what a message to be sent points to.
            vector.iov_base = frame.as_ptr().cast_mut().cast();
            vector.iov_len = frame.len();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }

        let mut next = 0;
        let mut wait = Wait::new(if self.stuck {
            Duration::ZERO
        } else {
            self.patience
        });
        while next < frames.len() {
            let rest = &mut headers[next..frames.len()];
            // SAFETY: each header points to one iovec and that to one frame, all of which live
            // across the call; there is no address and no control data.
            let count = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            // After sending some, sendmmsg says how many and forgets why it stopped: the next call
            // tells (`__sys_sendmmsg` in net/socket.c).
            if let Ok(count @ 1..) = usize::try_from(count) {
                next += count;
                sent.sent += count;
                self.stuck = false;
                wait = Wait::new(self.patience);
                continue;
            }
            let source = io::Error::last_os_error();
            match source.raw_os_error() {
                Some(libc::EMSGSIZE) => {
                    sent.too_big += 1;
                    sent.skip();
                    next += 1;
                }
                Some(libc::EINVAL) => {
                    sent.failed += 1;
                    sent.skip();
                    let length = frames[next].len();
                    sent.fail(self.malformed(length));
                    next += 1;
                }
                Some(libc::EINTR) => {}
                // EAGAIN: the socket's buffer is full. ENOBUFS: the driver's queue is, or the ring
                // of a veth's peer (net_xmit_errno of what packet_xmit returned).
                Some(libc::EAGAIN | libc::ENOBUFS) if wait.go_on() => {}
                code => {
                    self.stuck = matches!(code, Some(libc::EAGAIN | libc::ENOBUFS));
                    sent.fail(self.fatal(source, wait.waited()));
                    return Err(frames.len() - next);
                }
            }
        }
        Ok(())
    }

    fn malformed(&self, length: usize) -> SendError {
        SendError::Malformed {
            port: self.port.clone(),
            length,
        }
    }

    fn fatal(&self, source: io::Error, waited: Duration) -> SendError {
        let port = self.port.clone();
        match source.raw_os_error() {
            Some(libc::ENETDOWN) => SendError::Down { port },
            Some(libc::ENXIO | libc::ENODEV) => SendError::Gone { port },
            Some(libc::EAGAIN | libc::ENOBUFS) => SendError::Full { port, waited },
            _ => SendError::Socket {
                port,
                what: "send to",
                source,
            },
        }
    }
}

impl Sent {
    fn fail(&mut self, error: SendError) {
        self.error.get_or_insert(error);
    }
}

/// Waiting for a full device, in steps from giving way to sleeping a millisecond. Nothing can be
/// polled for: the device has room again without telling the socket.
struct Wait {
    patience: Duration,
    since: Option<Instant>,
    step: u32,
}

impl Wait {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            since: None,
            step: 0,
        }
    }

    fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Waits a little; false when the patience is over.
    fn go_on(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now);
        if self.waited() >= self.patience {
            return false;
        }
        match self.step {
            // The receiving end may be waiting for this very CPU.
            0..4 => std::thread::yield_now(),
            step => std::thread::sleep(Duration::from_micros(1000.min(10 << (step - 4).min(10)))),
        }
        self.step += 1;
        true
    }
}

fn set_option(
    socket: &OwnedFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> Result<(), ()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: these options take an int, which lives across the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    if done < 0 { Err(()) } else { Ok(()) }
}
