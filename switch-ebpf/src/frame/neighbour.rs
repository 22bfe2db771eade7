//! IPv6 neighbour discovery (RFC 4861): the messages that name a neighbour's address.

use network_types::ip::Ipv6Hdr;

use super::{Address, Bytes, Frame, Kind, Packet, Wire};
use crate::abi::Drop;

pub(super) const NEXT_HEADER_ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
pub(super) const ADVERTISEMENT: u8 = 136;
/// The flag of an advertisement that answers a solicitation.
pub(super) const SOLICITED: u8 = 0x40;
/// The only hop limit of a message that has not been through a router (RFC 4861 §7.1).
const HOP_LIMIT: u8 = 255;
/// ICMPv6 header, flags or reserved, target address.
const MESSAGE_LEN: usize = 24;

impl Frame {
    /// Reads an IPv6 packet of which the header is known: a neighbour's address in it, or none.
    #[inline(always)]
    pub(super) fn icmpv6<B: Bytes + ?Sized>(
        &self,
        bytes: &B,
        header: &Ipv6Hdr,
        length: usize,
    ) -> Result<Packet, Drop> {
        let source = Address::v6(header.src_addr.load());
        let destination = Address::v6(header.dst_addr.load());
        let ordinary = Packet {
            kind: Kind::Ip,
            speaker: source,
            subject: destination,
        };
        if header.next_hdr != NEXT_HEADER_ICMPV6 {
            return Ok(ordinary);
        }
        let offset = self.network_offset + Ipv6Hdr::LEN;
        let [kind, code]: [u8; 2] = bytes.at(offset).ok_or(Drop::NdTruncated)?;
        if kind != SOLICITATION && kind != ADVERTISEMENT {
            return Ok(ordinary);
        }
        if length < MESSAGE_LEN {
            return Err(Drop::NdTruncated);
        }
        let flags: [u8; 1] = bytes.at(offset + 4).ok_or(Drop::NdTruncated)?;
        let target: [u8; 16] = bytes.at(offset + 8).ok_or(Drop::NdTruncated)?;
        let multicast = target[0] == 0xff;
        if header.hop_limit != HOP_LIMIT || code != 0 || multicast {
            return Err(Drop::NdMalformed);
        }
        let target = Address::v6(target);
        if kind == SOLICITATION {
            return Ok(Packet {
                kind: Kind::Solicitation,
                speaker: source,
                subject: target,
            });
        }
        let solicited = flags[0] & SOLICITED != 0;
        if solicited && header.dst_addr[0] == 0xff {
            // RFC 4861 §7.1.2: a multicast advertisement has the solicited flag zero.
            return Err(Drop::NdMalformed);
        }
        let kind = if solicited {
            Kind::Advertisement
        } else {
            Kind::UnsolicitedAdvertisement
        };
        Ok(Packet {
            kind,
            speaker: target,
            subject: destination,
        })
    }
}
