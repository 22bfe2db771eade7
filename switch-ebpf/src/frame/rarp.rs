//! RARP (RFC 903): how hypervisors announce that a VM is here now.

use super::{Bytes, ETHERTYPE_RARP, Frame};

/// Ethernet, IPv4, address lengths 6 and 4, reverse request.
const PREAMBLE: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 3];
const LEN: usize = 28;

impl Frame {
    /// Whether this is a whole RARP request by which the source MAC speaks for itself, as QEMU, ESXi
    /// and Cloud Hypervisor send it. The IP addresses in it are not looked at: they are zero, and
    /// whoever sends a RARP request does not know its own.
    #[inline(always)]
    pub fn is_rarp_announcement<B: Bytes + ?Sized>(&self, bytes: &B) -> bool {
        if self.ethertype != ETHERTYPE_RARP || self.is_group_source() {
            return false;
        }
        let offset = self.network_offset;
        // The last byte first: a message that has it is not truncated. One step after the other,
        // because the compiler leaves an `Option` in a tuple undefined where it is `None`, and the
        // verifier sees that.
        if bytes.at::<[u8; 1]>(offset + LEN - 1).is_none() {
            return false;
        }
        let Some(preamble) = bytes.at::<[u8; 8]>(offset) else {
            return false;
        };
        let Some(sender) = bytes.at::<[u8; 6]>(offset + PREAMBLE.len()) else {
            return false;
        };
        preamble == PREAMBLE && sender == self.source && sender != [0; 6]
    }

    #[inline(always)]
    const fn is_group_source(&self) -> bool {
        self.source[0] & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    /// As QEMU sends it (net/announce.c).
    fn qemu() -> Vec<u8> {
        let mut frame = vec![0xff; 6];
        frame.extend(MAC);
        frame.extend([0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
        frame.extend([&MAC[..], &[0; 4], &MAC, &[0; 4], &[0; 18]].concat());
        frame
    }

    fn announces(frame: &[u8]) -> bool {
        Frame::read(frame)
            .expect("a frame")
            .is_rarp_announcement(frame)
    }

    #[test]
    fn what_a_hypervisor_sends() {
        let frame = qemu();
        assert_eq!(frame.len(), 60);
        assert!(announces(&frame));
        assert!(announces(&frame[..42]), "without padding");
        let tagged = [&frame[..12], &[0x81, 0, 0, 1], &frame[12..]].concat();
        assert!(announces(&tagged));
    }

    #[test]
    fn whatever_is_wrong_announces_nothing() {
        // Ethertype, htype, ptype, hlen, plen, opcode (1 to 4 but 3), sender.
        for (at, value) in [
            (13, 6),
            (15, 6),
            (16, 0x86),
            (18, 8),
            (19, 16),
            (21, 1),
            (21, 4),
            (22, 0),
            (27, 0),
        ] {
            let mut frame = qemu();
            frame[at] = value;
            assert!(!announces(&frame), "byte {at} = {value}");
        }
        for length in 14..42 {
            assert!(!announces(&qemu()[..length]), "{length} bytes");
        }
        for mac in [[0; 6], [1, 0, 0, 0, 0, 1], [0xff; 6]] {
            let mut frame = qemu();
            frame[6..12].copy_from_slice(&mac);
            frame[22..28].copy_from_slice(&mac);
            assert!(!announces(&frame), "{mac:02x?}");
        }
    }
}
