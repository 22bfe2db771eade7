//! Hearing of link changes as they happen.

use std::{collections::VecDeque, io};

use netlink_packet_core::NetlinkPayload;
use rtnetlink::{
    packet_route::RouteNetlinkMessage,
    sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE},
};
use tokio::io::unix::AsyncFd;

use super::{Link, LinkError};
use crate::net::netlink::{RECEIVE_BUFFER, messages};

/// Something that happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is new, or something about it changed: this is how it is now.
    Changed(Link),
    /// It was deleted or moved to another namespace. This is how it was.
    Removed(Link),
    /// More happened than the socket could hold: look at every link again.
    Lost,
}

/// A subscription to the link changes (RTNLGRP_LINK) of one network namespace.
#[derive(Debug)]
pub struct LinkWatch {
    socket: AsyncFd<Socket>,
    pending: VecDeque<LinkEvent>,
    datagram: Vec<u8>,
}

/// Subscribes to the link changes of the calling thread's namespace. Whatever happens from now on
/// is heard, so look at the links *after* this to miss nothing; the watch may be moved to any
/// thread.
///
/// # Errors
/// What the socket answers, or that the caller is not within a tokio runtime.
///
/// # Panics
/// If the runtime was built without I/O.
pub fn watch() -> Result<LinkWatch, LinkError> {
    let open = || -> io::Result<AsyncFd<Socket>> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, libc::RTMGRP_LINK.cast_unsigned()))?;
        socket.set_non_blocking(true)?;
        // `register` panics without a runtime; this says so instead.
        tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        // SAFETY: a `Socket` owns one descriptor, which stays open and the same until its drop.
        Ok(unsafe { AsyncFd::register(socket) }?)
    };
    Ok(LinkWatch {
        socket: open().map_err(error)?,
        pending: VecDeque::new(),
        datagram: Vec::with_capacity(RECEIVE_BUFFER),
    })
}

fn error(source: io::Error) -> LinkError {
    LinkError::Netlink {
        what: "watch the interfaces".into(),
        source,
    }
}

impl LinkWatch {
    /// The next event; waits for it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What the socket answers; the watch may then be of no use any more.
    pub async fn next(&mut self) -> Result<LinkEvent, LinkError> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            let mut ready = self.socket.readable().await.map_err(error)?;
            self.datagram.clear();
            let datagram = &mut self.datagram;
            match ready.try_io(|socket| socket.get_ref().recv(datagram, 0)) {
                Err(_would_block) => {}
                Ok(Ok(_)) => self.pending.extend(events(&self.datagram)),
                // The socket's buffer overflowed (netlink(7)).
                Ok(Err(e)) if e.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Ok(LinkEvent::Lost);
                }
                Ok(Err(e)) => return Err(error(e)),
            }
        }
    }
}

fn events(datagram: &[u8]) -> impl Iterator<Item = LinkEvent> {
    messages::<RouteNetlinkMessage>(datagram).filter_map(|message| {
        let Ok(message) = message else {
            // Something about some link that cannot be read.
            return Some(LinkEvent::Lost);
        };
        let NetlinkPayload::InnerMessage(inner) = message.payload else {
            return None;
        };
        let link = Link::parse(&inner)?;
        Some(match inner {
            RouteNetlinkMessage::DelLink(_) => LinkEvent::Removed(link),
            _ => LinkEvent::Changed(link),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::{future::Future, time::Duration};

    use super::{LinkEvent, LinkWatch, watch};
    use crate::net::testing::{in_new_netns, ip};

    fn block_on<T>(f: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime")
            .block_on(f)
    }

    /// Reads events until `wanted` says that this is it.
    async fn until(watch: &mut LinkWatch, wanted: impl Fn(&LinkEvent) -> bool) {
        let found = async { while !wanted(&watch.next().await.expect("event")) {} };
        tokio::time::timeout(Duration::from_secs(5), found)
            .await
            .expect("the event must come");
    }

    #[test]
    fn changes_and_removal_are_heard() {
        in_new_netns(|| {
            block_on(async {
                let mut watch = watch().expect("watch");
                ip("link add c0 type veth peer name p0");
                until(
                    &mut watch,
                    |e| matches!(e, LinkEvent::Changed(l) if l.name == "c0"),
                )
                .await;
                ip("link set c0 up mtu 1300");
                until(
                    &mut watch,
                    |e| matches!(e, LinkEvent::Changed(l) if l.name == "c0" && l.up && l.mtu == 1300),
                )
                .await;
                ip("link del c0");
                until(
                    &mut watch,
                    |e| matches!(e, LinkEvent::Removed(l) if l.name == "c0"),
                )
                .await;
            });
        });
    }

    #[test]
    fn leaving_a_bridge_is_not_removal() {
        in_new_netns(|| {
            block_on(async {
                ip("link add br0 type bridge");
                ip("link add c0 type veth peer name p0");
                ip("link set c0 master br0");
                let mut watch = watch().expect("watch");
                ip("link set c0 nomaster");
                ip("link set c0 mtu 1300");
                until(&mut watch, |e| {
                    assert!(!matches!(e, LinkEvent::Removed(_)), "{e:?}");
                    matches!(e, LinkEvent::Changed(l) if l.name == "c0" && l.mtu == 1300)
                })
                .await;
            });
        });
    }

    #[test]
    fn an_overflow_is_told() {
        in_new_netns(|| {
            block_on(async {
                let mut watch = watch().expect("watch");
                watch
                    .socket
                    .get_ref()
                    .set_rx_buf_sz(4096_i32)
                    .expect("small buffer");
                ip("link add c0 type veth peer name p0");
                for n in 0..20 {
                    ip(&format!("link set c0 mtu {}", 1300 + n));
                }
                until(&mut watch, |e| *e == LinkEvent::Lost).await;
            });
        });
    }
}
