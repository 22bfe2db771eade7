//! Answers to the question who has an address: ARP replies (RFC 826) and solicited neighbour
//! advertisements (RFC 4861 §4.4).

use network_types::ip::Ipv6Hdr;

use super::{
    Bytes, ETHERTYPE_ARP, ETHERTYPE_IPV6, Frame,
    neighbour::{ADVERTISEMENT, NEXT_HEADER_ICMPV6, SOLICITED},
};

/// Ethernet, IPv4, address lengths 6 and 4, reply.
const ARP_REPLY: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 2];
/// Offset of an IPv6 header's next header.
const NEXT_HEADER: usize = 6;
/// Offset of an advertisement's flags in its message.
const FLAGS: usize = 4;

impl Frame {
    /// Whether this may be an answer: what kind of message it is, not whether it is whole, which
    /// [`Frame::packet`] says.
    ///
    /// One step after the other, for the verifier: see [`Frame::is_rarp_announcement`].
    #[inline(always)]
    pub fn is_answer<B: Bytes + ?Sized>(&self, bytes: &B) -> bool {
        let offset = self.network_offset;
        if self.ethertype == ETHERTYPE_ARP {
            let Some(preamble) = bytes.at::<[u8; 8]>(offset) else {
                return false;
            };
            return preamble == ARP_REPLY;
        }
        if self.ethertype != ETHERTYPE_IPV6 {
            return false;
        }
        let Some(next) = bytes.at::<[u8; 1]>(offset + NEXT_HEADER) else {
            return false;
        };
        let message = offset + Ipv6Hdr::LEN;
        let Some(kind) = bytes.at::<[u8; 1]>(message) else {
            return false;
        };
        let Some(flags) = bytes.at::<[u8; 1]>(message + FLAGS) else {
            return false;
        };
        next[0] == NEXT_HEADER_ICMPV6 && kind[0] == ADVERTISEMENT && flags[0] & SOLICITED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answer(frame: &[u8]) -> bool {
        Frame::read(frame).expect("a frame").is_answer(frame)
    }

    fn arp(operation: u8) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
        frame.extend([0; 20]);
        frame
    }

    fn icmpv6(next: u8, kind: u8, flags: u8) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, next, 255]);
        frame.extend([0xfd; 32]);
        frame.extend([kind, 0, 0, 0, flags, 0, 0, 0]);
        frame.extend([0xfd; 16]);
        frame
    }

    #[test]
    fn replies_and_solicited_advertisements() {
        for answer in [arp(2), icmpv6(58, 136, 0x40), icmpv6(58, 136, 0xe0)] {
            assert!(is_answer(&answer));
            let tagged = [&answer[..12], &[0x81, 0, 0, 1], &answer[12..]].concat();
            assert!(is_answer(&tagged));
            assert!(!is_answer(&answer[..14]), "nothing behind the ethertype");
        }
        for other in [
            arp(1),
            arp(3),
            icmpv6(58, 136, 0xa0),
            icmpv6(58, 135, 0x40),
            icmpv6(17, 136, 0x40),
        ] {
            assert!(!is_answer(&other), "{other:02x?}");
        }
    }
}
