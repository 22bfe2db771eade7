//! One netlink request and its answers.
//!
//! Blocking on purpose: the kernel answers inside the `sendto` that asks, so there is nothing to
//! wait for, and the same function works inside and outside an async runtime.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_MULTIPART, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use rtnetlink::sys::{Socket, SocketAddr};

/// Bytes to make room for in each receive. The kernel's dumps are cut to at most 32 KiB
/// (`netlink_dump` in `net/netlink/af_netlink.c`) and one device's message is far smaller.
pub const RECEIVE_BUFFER: usize = 64 * 1024;

/// Sends a request with `flags` beyond `NLM_F_REQUEST`, and hands every message of the answer to
/// `answer` until it is complete.
///
/// # Errors
/// What the socket or the kernel answers, or that the answer cannot be read.
pub fn ask<M>(protocol: isize, request: M, flags: u16, mut answer: impl FnMut(M)) -> io::Result<()>
where
    M: NetlinkSerializable + NetlinkDeserializable,
{
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    let header = NetlinkHeader::default();
    let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
    request.header.flags = NLM_F_REQUEST | flags;
    request.header.sequence_number = 1;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
    let several = flags & (NLM_F_DUMP | NLM_F_ACK) != 0;
    let mut datagram = Vec::with_capacity(RECEIVE_BUFFER);
    loop {
        datagram.clear();
        socket.recv(&mut datagram, 0)?;
        for message in messages(&datagram) {
            let message: NetlinkMessage<M> = message?;
            let last = !several && message.header.flags & NLM_F_MULTIPART == 0;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                // No code is the acknowledgement.
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(inner) => answer(inner),
                _ => continue,
            }
            if last {
                return Ok(());
            }
        }
    }
}

/// The messages of one datagram.
pub fn messages<M>(mut datagram: &[u8]) -> impl Iterator<Item = io::Result<NetlinkMessage<M>>>
where
    M: NetlinkDeserializable,
{
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let message = NetlinkMessage::deserialize(datagram).map_err(io::Error::other);
        // A message starts on the next multiple of four (NLMSG_ALIGN).
        let length = NetlinkBuffer::new_checked(datagram).map_or(0, |buffer| buffer.length());
        let next = (length as usize).next_multiple_of(4);
        datagram = match next {
            0 => &[],
            next => datagram.get(next..).unwrap_or_default(),
        };
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::RouteNetlinkMessage;

    use super::*;

    #[test]
    fn what_is_malformed_is_an_error_and_the_end() {
        let read = |bytes: &[u8]| messages::<RouteNetlinkMessage>(bytes).collect::<Vec<_>>();
        assert_eq!(read(&[]).len(), 0);
        for bytes in [[0xff; 20], [0; 20]] {
            let read = read(&bytes);
            assert_eq!(read.len(), 1);
            assert!(read[0].is_err());
        }
    }
}
