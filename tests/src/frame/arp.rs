//! ARP, and the reverse ARP of QEMU.

use std::net::Ipv4Addr;

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};

use super::{BROADCAST, Mac};

/// An ARP packet in its Ethernet frame. The fields are free, so that wrong ones can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Ethernet source.
    pub source: Mac,
    /// Ethernet destination.
    pub destination: Mac,
    /// 1 request, 2 reply.
    pub operation: u16,
    /// SHA.
    pub sender_mac: Mac,
    /// SPA.
    pub sender_ip: Ipv4Addr,
    /// THA.
    pub target_mac: Mac,
    /// TPA.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Who has `target`? Tell `ip`.
    #[must_use]
    pub fn request(mac: Mac, ip: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self {
            source: mac,
            destination: BROADCAST,
            operation: 1,
            sender_mac: mac,
            sender_ip: ip,
            target_mac: [0; 6],
            target_ip: target,
        }
    }

    /// `ip` is at `mac`, in answer to a request.
    #[must_use]
    pub fn reply(mac: Mac, ip: Ipv4Addr, asker_mac: Mac, asker: Ipv4Addr) -> Self {
        Self {
            destination: asker_mac,
            operation: 2,
            target_mac: asker_mac,
            ..Self::request(mac, ip, asker)
        }
    }

    /// The announcement of RFC 5227 and of Linux: a request for one's own address.
    #[must_use]
    pub fn announcement(mac: Mac, ip: Ipv4Addr) -> Self {
        Self::request(mac, ip, ip)
    }

    /// The other gratuitous form: a reply that nobody asked for.
    #[must_use]
    pub fn gratuitous_reply(mac: Mac, ip: Ipv4Addr) -> Self {
        Self {
            operation: 2,
            target_mac: BROADCAST,
            ..Self::request(mac, ip, ip)
        }
    }

    /// The probe of RFC 5227: whether `wanted` is free. Not a claim to it.
    #[must_use]
    pub fn probe(mac: Mac, wanted: Ipv4Addr) -> Self {
        Self::request(mac, Ipv4Addr::UNSPECIFIED, wanted)
    }

    /// The frame.
    ///
    /// # Panics
    /// Never: the lengths of the fields are right by their types.
    #[must_use]
    pub fn frame(self) -> Vec<u8> {
        let packet = ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            ArpOperation(self.operation),
            &self.sender_mac,
            &self.sender_ip.octets(),
            &self.target_mac,
            &self.target_ip.octets(),
        )
        .expect("addresses of equal length");
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(self.source, self.destination)
            .arp(packet)
            .write_to_vec(&mut frame)
            .expect("an ARP packet fits a frame");
        frame
    }
}

/// What QEMU sends for a migrated VM: a reverse ARP request without an IP address in it.
#[must_use]
pub fn rarp(mac: Mac) -> Vec<u8> {
    let mut frame = Vec::with_capacity(60);
    frame.extend(BROADCAST);
    frame.extend(mac);
    frame.extend([0x80, 0x35]);
    // htype Ethernet, ptype IPv4, hlen, plen, opcode "reverse request".
    frame.extend([0, 1, 0x08, 0, 6, 4, 0, 3]);
    for _sender_then_target in 0..2 {
        frame.extend(mac);
        frame.extend([0; 4]);
    }
    frame.resize(60, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    #[test]
    fn rarp_has_the_layout_of_qemu() {
        let frame = rarp(MAC);
        assert_eq!(frame.len(), 60);
        assert_eq!(&frame[12..14], &[0x80, 0x35]);
        assert_eq!(&frame[20..22], &[0, 3]);
        assert_eq!((&frame[22..28], &frame[32..38]), (&MAC[..], &MAC[..]));
        assert_eq!((&frame[28..32], &frame[38..42]), (&[0; 4][..], &[0; 4][..]));
    }
}
