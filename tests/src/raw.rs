//! Frames as they are on the wire, through packet sockets.
//!
//! A socket belongs to the namespace it was opened in, so that any thread may use it.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::Namespace;

mod capture;
mod receive;
mod send;

pub use capture::Capture;
pub use receive::{RawReceiver, Received, instant};
pub use send::RawSender;

/// What the socket buffers may hold, so that a burst is lost in what is tested or not at all.
const BUFFER: libc::c_int = 64 << 20;

/// A packet socket on one interface. Protocol 0 receives nothing.
fn open(namespace: &Namespace, interface: &str, protocol: u16) -> Result<OwnedFd> {
    let index = namespace.link(interface)?.index;
    namespace
        .run(|| -> io::Result<OwnedFd> {
            let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            // SAFETY: the call takes no pointers. Protocol 0: nothing is received until bind.
            let socket = match unsafe { libc::socket(libc::AF_PACKET, kind, 0) } {
                -1 => return Err(io::Error::last_os_error()),
                // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
                new => unsafe { OwnedFd::from_raw_fd(new) },
            };
            set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER)?;
            set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, BUFFER)?;
            set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
            set_option(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
            set_option(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
            bind(&socket, index, protocol)?;
            Ok(socket)
        })
        .with_context(|| {
            format!(
                "open a packet socket on {interface} in {}",
                namespace.name()
            )
        })
}

fn bind(socket: &OwnedFd, index: u32, protocol: u16) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        // The kernel's indices are positive i32.
        sll_ifindex: index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is a sockaddr_ll of the length given and outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn set_option(socket: &OwnedFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is an int of the length given and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Waits until the socket is ready for `events`, and says whether it is.
fn wait(socket: &OwnedFd, events: PollFlags, deadline: Instant) -> Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, or the last millisecond would be a busy loop.
        let timeout =
            PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(socket.as_fd(), events)];
        match poll(&mut fds, timeout) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => bail!("poll a packet socket: {error}"),
        }
    }
}
