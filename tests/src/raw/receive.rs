//! Receiving frames with the tag they had on the wire.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    ptr,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use nix::poll::PollFlags;

use super::{open, wait};
use crate::{Namespace, frame::TPID_C, poll::patience};

/// More than any frame, also one that GRO has put together.
const LONGEST: usize = 1 << 17;
/// Where a tag belongs in a frame: behind the addresses.
const TAG_AT: usize = 12;

/// A frame, and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The whole frame, with its tags where they were on the wire.
    pub frame: Vec<u8>,
    /// Whether the sender left the checksum to hardware: then it is not in the frame.
    pub checksum_missing: bool,
    /// When the kernel received it, however late it was taken out of the socket.
    pub at: Instant,
}

/// Receives whatever arrives at an interface (not what is sent out of it).
#[derive(Debug)]
pub struct RawReceiver {
    socket: OwnedFd,
    interface: String,
    buffer: Vec<u8>,
}

/// Room for the ancillary data of one frame, aligned for its header.
#[repr(C, align(8))]
struct Control([u8; 128]);

impl RawReceiver {
    /// Opens a receiver on an interface; frames are kept from now on.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = open(namespace, interface, libc::ETH_P_ALL as u16)?;
        let interface = format!("{interface} in {}", namespace.name());
        Ok(Self {
            socket,
            interface,
            buffer: vec![0; LONGEST],
        })
    }

    /// The next frame, or none if there is none within the time.
    ///
    /// # Errors
    /// When the interface goes down or away.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Received>> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.try_receive() {
                Ok(received) => return Ok(Some(received)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait(&self.socket, PollFlags::POLLIN, deadline)? {
                        return Ok(None);
                    }
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("receive on {}", self.interface));
                }
            }
        }
    }

    /// The first frame of which `pick` makes something; the others are thrown away.
    ///
    /// # Errors
    /// Says that `what` did not arrive, once `timeout` (with [`patience`]) is over, and how many frames did.
    pub fn expect<T>(
        &mut self,
        timeout: Duration,
        what: &str,
        mut pick: impl FnMut(&Received) -> Option<T>,
    ) -> Result<T> {
        let timeout = patience(timeout);
        let deadline = Instant::now() + timeout;
        let mut others = 0;
        while let Some(received) =
            self.receive(deadline.saturating_duration_since(Instant::now()))?
        {
            match pick(&received) {
                Some(value) => return Ok(value),
                None => others += 1,
            }
        }
        anyhow::bail!(
            "{what} did not arrive on {} within {timeout:?}, {others} other frames did",
            self.interface
        )
    }

    /// Everything that arrives until it has been silent for `silence`.
    ///
    /// # Errors
    /// As [`RawReceiver::receive`].
    pub fn drain(&mut self, silence: Duration) -> Result<Vec<Received>> {
        let mut all = Vec::new();
        while let Some(received) = self.receive(silence)? {
            all.push(received);
        }
        Ok(all)
    }

    /// How many frames this receiver itself has lost since it was last asked, for want of room.
    ///
    /// # Errors
    /// When the socket cannot be asked, which does not happen.
    pub fn lost(&self) -> Result<u32> {
        // struct tpacket_stats: packets, drops.
        let mut stats = [0_u32; 2];
        let mut length = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes to the array, which outlives the call.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                stats.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error())
                .with_context(|| format!("read the statistics of {}", self.interface));
        }
        Ok(stats[1])
    }

    fn try_receive(&mut self) -> io::Result<Received> {
        let mut control = Control([0; 128]);
        let mut vector = libc::iovec {
            iov_base: self.buffer.as_mut_ptr().cast(),
            iov_len: self.buffer.len(),
        };
        let mut message = libc::msghdr {
            msg_name: ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: &raw mut vector,
            msg_iovlen: 1,
            msg_control: control.0.as_mut_ptr().cast(),
            msg_controllen: control.0.len(),
            msg_flags: 0,
        };
        // SAFETY: the message points to the buffer and the control block with their true
        // lengths, and all of them outlive the call.
        let result = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let length = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
        let mut frame = self.buffer[..length].to_vec();
        let Beside {
            auxiliary,
            timestamp,
        } = beside(&message);
        let at = timestamp.map_or_else(Instant::now, stamped);
        let status = auxiliary.map_or(0, |auxiliary| auxiliary.tp_status);
        if let Some(auxiliary) = auxiliary.filter(|_| status & libc::TP_STATUS_VLAN_VALID != 0) {
            // The kernel always takes the outermost tag out of the frame: put it back.
            let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
            let tpid = if known {
                auxiliary.tp_vlan_tpid
            } else {
                TPID_C
            };
            let tag = [tpid.to_be_bytes(), auxiliary.tp_vlan_tci.to_be_bytes()].concat();
            frame.splice(TAG_AT..TAG_AT, tag);
        }
        let checksum_missing = status & libc::TP_STATUS_CSUMNOTREADY != 0;
        Ok(Received {
            frame,
            checksum_missing,
            at,
        })
    }
}

/// What the kernel says about a frame beside its bytes.
#[derive(Default)]
struct Beside {
    auxiliary: Option<libc::tpacket_auxdata>,
    timestamp: Option<libc::timespec>,
}

fn beside(message: &libc::msghdr) -> Beside {
    let mut beside = Beside::default();
    // SAFETY: the kernel has filled in the message; its control block is still there, and the
    // CMSG functions stay within its length.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: a header that is not null is a whole one inside the control block.
    while let Some(this) = unsafe { header.as_ref() } {
        // SAFETY: the header is one of the control block's.
        let data = unsafe { libc::CMSG_DATA(header) };
        match (this.cmsg_level, this.cmsg_type) {
            (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                // SAFETY: the data of this kind is a tpacket_auxdata; where it lies need not be
                // aligned for one, hence read_unaligned.
                let auxiliary = unsafe { ptr::read_unaligned(data.cast()) };
                beside.auxiliary = Some(auxiliary);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: the same, with a timespec.
                let timestamp = unsafe { ptr::read_unaligned(data.cast()) };
                beside.timestamp = Some(timestamp);
            }
            _ => {}
        }
        // SAFETY: as for the first header.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    beside
}

/// The kernel's time of a frame.
fn stamped(time: libc::timespec) -> Instant {
    // The kernel's times are after 1970 and have less than 10^9 ns.
    let since_epoch = Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32);
    instant(SystemTime::UNIX_EPOCH + since_epoch)
}

/// Both clocks at one moment: where this thread had to wait in between, they are asked again.
fn at_once() -> (Instant, SystemTime) {
    /// No thread has to wait each time.
    const TRIES: usize = 100;
    /// Longer than it takes to ask.
    const MOMENT: Duration = Duration::from_micros(5);
    let ask = || (Instant::now(), SystemTime::now(), Instant::now());
    let mut best = ask();
    for _ in 0..TRIES {
        if best.2 - best.0 <= MOMENT {
            break;
        }
        let next = ask();
        if next.2 - next.0 < best.2 - best.0 {
            best = next;
        }
    }
    (best.0, best.1)
}

/// A time of the wall clock, as the monotonic one has it.
#[must_use]
pub fn instant(time: SystemTime) -> Instant {
    let (now, wall) = at_once();
    // After a step of the wall clock: now, rather than a time to come.
    let age = wall.duration_since(time);
    now.checked_sub(age.unwrap_or_default()).unwrap_or(now)
}
