//! A small blocking rtnetlink client: one request, its answers.
//!
//! Blocking on purpose: the kernel answers a link request inside the `sendto` that asks, so there
//! is nothing to wait for, and the same function works inside and outside an async runtime.
//! Attributes are read one by one and only those wanted, so that a newer kernel's new attributes
//! can never be a parse error.

use std::io;

use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::LinkError;

/// Length of `struct nlmsghdr`.
const NLMSG_HDRLEN: usize = 16;
/// Length of `struct nlattr`.
const NLA_HDRLEN: usize = 4;
/// Length of `struct ifinfomsg`.
const IFINFOMSG_LEN: usize = 16;

/// Bytes to make room for in each receive. The kernel's dumps are cut to at most 32 KiB
/// (`netlink_dump` in `net/netlink/af_netlink.c`) and one link's message is far smaller.
pub(super) const RECEIVE_BUFFER: usize = 64 * 1024;

/// The fixed part of a link message, `struct ifinfomsg`; all in host byte order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IfInfo {
    pub family: u8,
    pub hardware: u16,
    pub index: i32,
    pub flags: u32,
    /// Which of `flags` are to be changed.
    pub change: u32,
}

impl IfInfo {
    fn emit(self) -> [u8; IFINFOMSG_LEN] {
        let mut out = [0; IFINFOMSG_LEN];
        out[0] = self.family;
        out[2..4].copy_from_slice(&self.hardware.to_ne_bytes());
        out[4..8].copy_from_slice(&self.index.to_ne_bytes());
        out[8..12].copy_from_slice(&self.flags.to_ne_bytes());
        out[12..16].copy_from_slice(&self.change.to_ne_bytes());
        out
    }

    /// Splits a link message's payload into its fixed part and its attributes.
    pub(super) fn parse(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (fixed, attributes) = payload.split_first_chunk::<IFINFOMSG_LEN>()?;
        let [
            family,
            _,
            h0,
            h1,
            i0,
            i1,
            i2,
            i3,
            f0,
            f1,
            f2,
            f3,
            c0,
            c1,
            c2,
            c3,
        ] = *fixed;
        let info = Self {
            family,
            hardware: u16::from_ne_bytes([h0, h1]),
            index: i32::from_ne_bytes([i0, i1, i2, i3]),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
            change: u32::from_ne_bytes([c0, c1, c2, c3]),
        };
        Some((info, attributes))
    }
}

/// Cuts the first record off `bytes`: its length (header included) comes from `length`, the next
/// record starts on the following 4-byte boundary (NLMSG_ALIGN and NLA_ALIGN are both 4).
fn cut<'a>(bytes: &mut &'a [u8], header: usize, length: usize) -> Option<&'a [u8]> {
    let record = bytes.get(header..length)?;
    *bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some(record)
}

/// The attributes in `bytes` as (kind, value), up to the first that is malformed. The kind is
/// without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([k0, k1]) & 0x3fff;
        Some((kind, cut(&mut bytes, NLA_HDRLEN, length)?))
    })
}

/// One message of a datagram that the kernel sent.
pub(super) struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub payload: &'a [u8],
}

/// The messages in one datagram, up to the first that is malformed.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let [l0, l1, l2, l3, k0, k1, f0, f1] = *datagram.first_chunk()?;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        Some(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            payload: cut(&mut datagram, NLMSG_HDRLEN, length)?,
        })
    })
}

/// A request that is about one link.
pub(super) struct Request<'a> {
    /// `RTM_*`.
    pub kind: u16,
    /// `NLM_F_*` beyond `NLM_F_REQUEST`.
    pub flags: u16,
    pub info: IfInfo,
    /// Attributes as (kind, value).
    pub attributes: &'a [(u16, &'a [u8])],
    /// What this does, for an error's text: "set port c0 up".
    pub what: &'a str,
}

impl Request<'_> {
    fn emit(&self) -> Vec<u8> {
        let mut out = vec![0; NLMSG_HDRLEN];
        out.extend(self.info.emit());
        for (kind, value) in self.attributes {
            // Attribute values here are names and numbers, far below 64 KiB.
            let length = u16::try_from(value.len() + NLA_HDRLEN).unwrap_or(u16::MAX);
            out.extend(length.to_ne_bytes());
            out.extend(kind.to_ne_bytes());
            out.extend(*value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
        let flags = self.flags | libc::NLM_F_REQUEST as u16;
        out[0..4].copy_from_slice(&length.to_ne_bytes());
        out[4..6].copy_from_slice(&self.kind.to_ne_bytes());
        out[6..8].copy_from_slice(&flags.to_ne_bytes());
        out[8..12].copy_from_slice(&1_u32.to_ne_bytes());
        out
    }

    fn error(&self, source: io::Error) -> LinkError {
        LinkError::Netlink {
            what: self.what.to_owned(),
            source,
        }
    }

    /// Sends the request and hands every message of the answer to `answer`, until the answer is
    /// complete.
    ///
    /// # Errors
    /// What the socket or the kernel answered, with the request's `what`.
    pub(super) fn run(&self, mut answer: impl FnMut(&Message<'_>)) -> Result<(), LinkError> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(|e| self.error(e))?;
        socket.bind_auto().map_err(|e| self.error(e))?;
        socket
            .send_to(&self.emit(), &SocketAddr::new(0, 0), 0)
            .map_err(|e| self.error(e))?;
        let dump = self.flags & libc::NLM_F_DUMP as u16 == libc::NLM_F_DUMP as u16;
        let mut datagram = Vec::with_capacity(RECEIVE_BUFFER);
        loop {
            datagram.clear();
            socket.recv(&mut datagram, 0).map_err(|e| self.error(e))?;
            for message in messages(&datagram) {
                match i32::from(message.kind) {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => return self.status(message.payload),
                    _ => {
                        answer(&message);
                        if !dump && message.flags & libc::NLM_F_MULTI as u16 == 0 {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// What an `NLMSG_ERROR` says: zero is the acknowledgement, else a negative errno.
    fn status(&self, payload: &[u8]) -> Result<(), LinkError> {
        let code = payload.first_chunk().map_or(0, |c| i32::from_ne_bytes(*c));
        match code {
            0 => Ok(()),
            code => Err(self.error(io::Error::from_raw_os_error(code.saturating_neg()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IfInfo, Request, attributes, messages};

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let request = Request {
            kind: libc::RTM_GETLINK,
            flags: 0,
            info: IfInfo {
                index: 7,
                flags: 1,
                change: 1,
                ..IfInfo::default()
            },
            attributes: &[
                (libc::IFLA_IFNAME, b"c0\0"),
                (libc::IFLA_MTU, &[1, 2, 3, 4]),
            ],
            what: "test",
        };
        let bytes = request.emit();
        let all: Vec<_> = messages(&bytes).collect();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].kind, libc::RTM_GETLINK);
        let (info, rest) = IfInfo::parse(all[0].payload).expect("ifinfomsg");
        assert_eq!((info.index, info.flags, info.change), (7, 1, 1));
        let found: Vec<_> = attributes(rest).collect();
        assert_eq!(
            found,
            [
                (libc::IFLA_IFNAME, &b"c0\0"[..]),
                (libc::IFLA_MTU, &[1, 2, 3, 4][..])
            ]
        );
    }

    #[test]
    fn what_is_malformed_ends_the_reading() {
        assert_eq!(messages(&[]).count(), 0);
        assert_eq!(messages(&[0xff; 20]).count(), 0);
        assert_eq!(messages(&[0; 20]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[200, 0, 1, 0, 9]).count(), 0);
        assert!(IfInfo::parse(&[0; 15]).is_none());
    }
}
