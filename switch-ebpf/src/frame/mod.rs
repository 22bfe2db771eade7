//! Reads a frame: its tags, the addresses in it, what it says of a VM, and whom it is meant for.

mod address;
mod answer;
mod neighbour;
mod rarp;
mod read;
mod tag;
mod unaligned;

pub use address::Address;
use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    vlan::VlanHdr,
};
pub use read::{Bytes, Wire, is_unaligned};
#[cfg(not(target_arch = "bpf"))]
pub use tag::retag_into;
pub use tag::{Retag, TAG_LEN, TPID_8021AD, TPID_8021Q, Tag, VID_MASK};
pub use unaligned::{load, store};

use crate::abi::Drop;

/// The most tags that are carried through.
pub const MAX_CARRIED: usize = 2;
/// The most tags that a frame may have: an attachment's own and those that are carried through.
pub const MAX_TAGS: usize = 1 + MAX_CARRIED;

/// Ethertype of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ethertype of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Ethertype of RARP.
pub const ETHERTYPE_RARP: u16 = 0x8035;
/// Ethertype of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// How a frame speaks for the address of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// An IP packet, or an ARP or ND message that is part of ordinary traffic.
    Data,
    /// An announcement: ARP with sender IP = target IP, an unsolicited neighbour advertisement.
    Announce,
}

/// What a frame from a site says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This address is where the frame came from.
    Vm(Address, Evidence),
    /// Nothing that could be learned: no address in it, or none that a VM can have.
    Nobody,
}

/// Whom a frame from the client is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The owner of this address; where nobody is known to be it, whoever is asked by broadcast
    /// (an ARP request, a neighbour solicitation).
    Asked(Address),
    /// The owner of this address.
    Unicast(Address),
    /// Every site.
    Everyone,
    /// One station that only its MAC names.
    Station,
}

/// What a frame carries behind its tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 or IPv6 packet without a neighbour's address in it.
    Ip,
    /// An IPv6 neighbour solicitation (RFC 4861 §4.3).
    Solicitation,
    /// An IPv6 neighbour advertisement that answers a solicitation (RFC 4861 §4.4).
    Advertisement,
    /// One that does not.
    UnsolicitedAdvertisement,
    /// ARP for IPv4 over Ethernet (RFC 826).
    Arp,
    /// ARP of which the sender's MAC is not the frame's.
    ForeignArp,
    /// RARP (RFC 903): how hypervisors announce a VM. It carries no IP address.
    Rarp,
    /// Anything else.
    Other,
}

/// What a frame carries behind its tags, and the addresses in it.
///
/// A plain struct: with an enum's payload the compiler leaves bytes undefined that the verifier
/// then sees being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub kind: Kind,
    /// The address it speaks for: an IP packet's source (`::` for duplicate address detection), an
    /// advertisement's target, an ARP sender.
    pub speaker: Address,
    /// The address it is meant for: an IP packet's destination, a solicitation's or ARP target.
    pub subject: Address,
}

impl Packet {
    const fn without_address(kind: Kind) -> Self {
        Self {
            kind,
            speaker: Address::UNSPECIFIED,
            subject: Address::UNSPECIFIED,
        }
    }
}

/// A frame that was read. MACs and ethertypes as on the wire, tags in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Destination MAC.
    pub destination: [u8; 6],
    /// Source MAC.
    pub source: [u8; 6],
    /// The outermost tag, or [`Tag::NONE`]. No `Option`, which is undefined where it is `None`: the
    /// verifier sees that when the frame is moved.
    outer: Tag,
    /// Offset of the network header in bytes.
    pub network_offset: usize,
    /// The ethertype behind the tags, in host byte order.
    pub ethertype: u16,
}

impl Frame {
    /// The outermost tag.
    #[inline(always)]
    pub const fn outer(&self) -> Option<Tag> {
        match self.outer {
            Tag { tpid: 0, .. } => None,
            tag => Some(tag),
        }
    }

    /// Reads the Ethernet header and the outermost tag. What is behind that is left unread:
    /// `network_offset` and `ethertype` are the next tag's, if there is one.
    ///
    /// # Errors
    /// The reason for which the frame has to be dropped.
    #[inline(always)]
    pub fn read_outer<B: Bytes + ?Sized>(bytes: &B) -> Result<Self, Drop> {
        let ethernet: EthHdr = bytes.at(0).ok_or(Drop::EthernetTruncated)?;
        let mut frame = Self {
            destination: ethernet.dst_addr,
            source: ethernet.src_addr,
            outer: Tag::NONE,
            network_offset: EthHdr::LEN,
            ethertype: u16::from_be(ethernet.ether_type),
        };
        if Tag::is_tpid(frame.ethertype) {
            let tpid = frame.ethertype;
            let tci = frame.take_tag(bytes)?;
            frame.outer = Tag { tpid, tci };
        }
        Ok(frame)
    }

    /// Reads the tags behind the outermost one. `own_tag` says whether that is an attachment's own:
    /// otherwise it is carried through itself, and leaves room for one less.
    ///
    /// # Errors
    /// The reason for which the frame has to be dropped.
    #[inline(always)]
    pub fn read_carried<B: Bytes + ?Sized>(
        &mut self,
        bytes: &B,
        own_tag: bool,
    ) -> Result<(), Drop> {
        let mut carried = usize::from(self.outer().is_some() && !own_tag);
        while Tag::is_tpid(self.ethertype) {
            if carried == MAX_CARRIED {
                return Err(Drop::VlanTooDeep);
            }
            self.take_tag(bytes)?;
            carried += 1;
        }
        Ok(())
    }

    /// Reads the Ethernet header and all tags, of which the outermost may be an attachment's own.
    ///
    /// # Errors
    /// The reason for which the frame has to be dropped.
    #[inline(always)]
    pub fn read<B: Bytes + ?Sized>(bytes: &B) -> Result<Self, Drop> {
        let mut frame = Self::read_outer(bytes)?;
        frame.read_carried(bytes, true)?;
        Ok(frame)
    }

    /// Steps over a tag, and returns its TCI.
    #[inline(always)]
    fn take_tag<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Result<u16, Drop> {
        let header: VlanHdr = bytes.at(self.network_offset).ok_or(Drop::VlanTruncated)?;
        self.network_offset += VlanHdr::LEN;
        self.ethertype = u16::from_be(header.ether_type);
        Ok(u16::from_be_bytes(header.tci))
    }

    /// Whether the destination is one of 01:80:c2:00:00:00 to 0f, which no bridge forwards
    /// (IEEE 802.1D §7.12.6).
    #[inline(always)]
    pub fn is_link_control(&self) -> bool {
        let [a, b, c, d, e, f] = self.destination;
        a == 0x01 && b == 0x80 && c == 0xc2 && d == 0 && e == 0 && f < 0x10
    }

    /// Whether the destination MAC is a multicast or broadcast one.
    #[inline(always)]
    pub const fn is_group(&self) -> bool {
        self.destination[0] & 1 == 1
    }

    /// Reads what is behind the tags. `length` is the whole frame's, in bytes: a frame may be
    /// longer than `bytes` where a driver keeps it in several buffers.
    ///
    /// # Errors
    /// The reason for which the frame has to be dropped.
    #[inline(always)]
    pub fn packet<B: Bytes + ?Sized>(&self, bytes: &B, length: usize) -> Result<Packet, Drop> {
        let payload = length.saturating_sub(self.network_offset);
        match self.ethertype {
            ETHERTYPE_IPV4 => self.ipv4(bytes, payload),
            ETHERTYPE_IPV6 => self.ipv6(bytes, payload),
            ETHERTYPE_ARP => self.arp(bytes),
            ETHERTYPE_RARP => Ok(Packet::without_address(Kind::Rarp)),
            _ => Ok(Packet::without_address(Kind::Other)),
        }
    }

    #[inline(always)]
    fn ipv4<B: Bytes + ?Sized>(&self, bytes: &B, payload: usize) -> Result<Packet, Drop> {
        let header: &Ipv4Hdr = bytes.view(self.network_offset).ok_or(Drop::Ipv4Truncated)?;
        let total = usize::from(u16::from_be_bytes(header.tot_len.load()));
        let header_length = usize::from(header.ihl());
        if header.version() != 4 || header_length < Ipv4Hdr::LEN || total < header_length {
            return Err(Drop::Ipv4Malformed);
        }
        if total > payload {
            return Err(Drop::Ipv4Truncated);
        }
        Ok(Packet {
            kind: Kind::Ip,
            speaker: Address::v4(header.src_addr.load()),
            subject: Address::v4(header.dst_addr.load()),
        })
    }

    #[inline(always)]
    fn ipv6<B: Bytes + ?Sized>(&self, bytes: &B, payload: usize) -> Result<Packet, Drop> {
        let header: &Ipv6Hdr = bytes.view(self.network_offset).ok_or(Drop::Ipv6Truncated)?;
        if header.version() != 6 {
            return Err(Drop::Ipv6Malformed);
        }
        let length = usize::from(u16::from_be_bytes(header.payload_len.load()));
        if length > payload.saturating_sub(Ipv6Hdr::LEN) {
            return Err(Drop::Ipv6Truncated);
        }
        self.icmpv6(bytes, header, length)
    }

    #[inline(always)]
    fn arp<B: Bytes + ?Sized>(&self, bytes: &B) -> Result<Packet, Drop> {
        /// Ethernet, IPv4, address lengths 6 and 4 (RFC 826).
        const PREAMBLE: [u8; 6] = [0, 1, 8, 0, 6, 4];
        const LEN: usize = 28;
        let offset = self.network_offset;
        // The last byte first: a message that has it is not truncated.
        let _: [u8; 1] = bytes.at(offset + LEN - 1).ok_or(Drop::ArpTruncated)?;
        let preamble: [u8; 6] = bytes.at(offset).ok_or(Drop::ArpTruncated)?;
        let operation: [u8; 2] = bytes.at(offset + 6).ok_or(Drop::ArpTruncated)?;
        let sender_mac: [u8; 6] = bytes.at(offset + 8).ok_or(Drop::ArpTruncated)?;
        let sender: [u8; 4] = bytes.at(offset + 14).ok_or(Drop::ArpTruncated)?;
        let target: [u8; 4] = bytes.at(offset + 24).ok_or(Drop::ArpTruncated)?;
        let multicast = sender[0] >= 224;
        if preamble != PREAMBLE || !matches!(operation, [0, 1 | 2]) || multicast {
            return Err(Drop::ArpMalformed);
        }
        let kind = if sender_mac == self.source {
            Kind::Arp
        } else {
            Kind::ForeignArp
        };
        Ok(Packet {
            kind,
            speaker: Address::v4(sender),
            subject: Address::v4(target),
        })
    }

    /// What a frame from a site says of its sender.
    ///
    /// # Errors
    /// The reason for which the frame is not forwarded.
    #[inline(always)]
    pub fn origin(&self, packet: &Packet) -> Result<Origin, Drop> {
        if self.is_link_control() {
            return Err(Drop::LinkControl);
        }
        let address = packet.speaker;
        let evidence = match packet.kind {
            Kind::Ip | Kind::Solicitation | Kind::Advertisement => Evidence::Data,
            Kind::UnsolicitedAdvertisement => Evidence::Announce,
            Kind::Arp if address == packet.subject => Evidence::Announce,
            Kind::Arp => Evidence::Data,
            Kind::ForeignArp => return Err(Drop::ArpSenderMismatch),
            Kind::Rarp => return Err(Drop::Rarp),
            Kind::Other => return Ok(Origin::Nobody),
        };
        Ok(if address.is_vm() {
            Origin::Vm(address, evidence)
        } else {
            Origin::Nobody
        })
    }

    /// Whom a frame from the client is meant for.
    ///
    /// # Errors
    /// The reason for which the frame is not forwarded.
    #[inline(always)]
    pub fn target(&self, packet: &Packet) -> Result<Target, Drop> {
        if self.is_link_control() {
            return Err(Drop::LinkControl);
        }
        let address = packet.subject;
        match packet.kind {
            Kind::Arp | Kind::ForeignArp | Kind::Solicitation => {
                return Ok(Target::Asked(address));
            }
            Kind::Rarp => return Err(Drop::Rarp),
            Kind::Other if self.is_group() => return Ok(Target::Everyone),
            Kind::Other => return Ok(Target::Station),
            Kind::Ip | Kind::Advertisement | Kind::UnsolicitedAdvertisement => {}
        }
        Ok(if self.is_group() || address.is_everyones() {
            Target::Everyone
        } else {
            Target::Unicast(address)
        })
    }
}
