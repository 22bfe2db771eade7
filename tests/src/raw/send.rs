//! Sending frames back to back.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    ptr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::poll::PollFlags;

use super::{open, wait};
use crate::{Namespace, poll::patience};

/// How many frames go to the kernel in one call.
const BATCH: usize = 256;
/// How long a full send buffer may stay full.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends frames out of an interface exactly as they are.
#[derive(Debug)]
pub struct RawSender {
    socket: OwnedFd,
    interface: String,
}

impl RawSender {
    /// Opens a sender on an interface.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = open(namespace, interface, 0)?;
        Ok(Self {
            socket,
            interface: interface.to_owned(),
        })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the interface refuses it: down, or the frame too long.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.send_all([frame])
    }

    /// Sends frames back to back, in order, with as few system calls as can be.
    ///
    /// # Errors
    /// As [`RawSender::send`].
    pub fn send_all<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        let mut frames = frames.into_iter().peekable();
        let mut vectors = Vec::with_capacity(BATCH);
        while frames.peek().is_some() {
            vectors.clear();
            vectors.extend(frames.by_ref().take(BATCH).map(|frame| libc::iovec {
                // sendmmsg only reads from it.
                iov_base: frame.as_ptr().cast_mut().cast(),
                iov_len: frame.len(),
            }));
            self.send_batch(&mut vectors).with_context(|| {
                format!("send {} frames out of {}", vectors.len(), self.interface)
            })?;
        }
        Ok(())
    }

    fn send_batch(&self, vectors: &mut [libc::iovec]) -> Result<()> {
        let mut messages: Vec<_> = vectors.iter_mut().map(message).collect();
        let mut sent = 0;
        while sent < messages.len() {
            let rest = &mut messages[sent..];
            // SAFETY: each message points to one vector, each vector to a frame of the caller;
            // all of them outlive the call, and their number is the one given.
            let result = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as u32,
                    0,
                )
            };
            let error = io::Error::last_os_error();
            match usize::try_from(result) {
                Ok(count) => sent += count,
                Err(_) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(_) if is_full(&error) => {
                    if !wait(
                        &self.socket,
                        PollFlags::POLLOUT,
                        Instant::now() + patience(PATIENCE),
                    )? {
                        bail!("the send buffer stayed full for {PATIENCE:?}");
                    }
                }
                Err(_) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS))
}

fn message(vector: &mut libc::iovec) -> libc::mmsghdr {
    libc::mmsghdr {
        msg_hdr: libc::msghdr {
            msg_name: ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: vector,
            msg_iovlen: 1,
            msg_control: ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        },
        msg_len: 0,
    }
}
