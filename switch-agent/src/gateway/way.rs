//! The ways out of a gateway: to the LAN and to the trunk.

use switch_ebpf::frame::{Retag, Tag, retag_into};

use crate::{
    config::ClientPort,
    datapath::PortEntry,
    net::packet::{PacketSocket, SendError},
    types::MacAddress,
};

/// A way out, with the tag that frames get on it.
pub struct Way {
    /// The port's own MAC.
    pub mac: MacAddress,
    /// Index of its traffic counters.
    pub traffic: u32,
    socket: PacketSocket,
    tag: Option<Tag>,
    tagged: Vec<u8>,
}

impl Way {
    /// The way out of a port.
    ///
    /// # Errors
    /// The port is gone, or has no socket for us.
    pub fn open(port: &PortEntry, at: &ClientPort, traffic: u32) -> Result<Self, SendError> {
        Ok(Self {
            mac: MacAddress(port.link.mac),
            traffic,
            socket: PacketSocket::open(&port.link)?,
            tag: at.vlan.map(|(vid, tpid)| Tag {
                tpid: tpid.value(),
                tci: vid.get(),
            }),
            tagged: Vec::new(),
        })
    }

    /// Sends an untagged frame. Its length as it left.
    ///
    /// # Errors
    /// Why it did not leave.
    pub fn send(&mut self, frame: &[u8]) -> Result<usize, Option<SendError>> {
        self.tagged.clear();
        let retag = self.tag.map_or(Retag::Keep, Retag::Push);
        retag_into(frame, retag, &mut self.tagged);
        let sent = self.socket.send_batch([self.tagged.as_slice()]);
        match sent.sent {
            1 => Ok(self.tagged.len()),
            _ => Err(sent.error),
        }
    }
}
