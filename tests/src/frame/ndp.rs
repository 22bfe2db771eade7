//! IPv6 neighbour discovery.

use std::net::Ipv6Addr;

use etherparse::{Icmpv6Type, PacketBuilder};

use super::Mac;

/// Neighbour discovery from further away is not to be believed (RFC 4861).
const HOP_LIMIT: u8 = 255;

/// Every node of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// [`Ndp::kind`] of a solicitation.
pub const SOLICITATION: u8 = 135;
/// [`Ndp::kind`] of an advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// [`Ndp::flags`]: the advertisement answers a solicitation.
pub const SOLICITED: u8 = 0x40;
/// [`Ndp::flags`]: it is to replace what is known.
pub const OVERRIDE: u8 = 0x20;

/// A neighbour solicitation or advertisement in its Ethernet frame. The fields are free, so that
/// wrong ones can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ndp {
    /// Ethernet source.
    pub source: Mac,
    /// Ethernet destination.
    pub destination: Mac,
    /// IPv6 source.
    pub from: Ipv6Addr,
    /// IPv6 destination.
    pub to: Ipv6Addr,
    /// 255 if it has not been through a router.
    pub hop_limit: u8,
    /// [`SOLICITATION`] or [`ADVERTISEMENT`].
    pub kind: u8,
    /// 0.
    pub code: u8,
    /// Of an advertisement.
    pub flags: u8,
    /// The address that is sought or advertised.
    pub target: Ipv6Addr,
    /// The link-layer address of whoever has the address that is spoken for.
    pub link_layer: Option<Mac>,
}

impl Ndp {
    /// Who has `target`? Tell `ip`. To the target's solicited-node group.
    #[must_use]
    pub fn solicitation(mac: Mac, ip: Ipv6Addr, target: Ipv6Addr) -> Self {
        let (destination, to) = solicited_node(target);
        Self {
            source: mac,
            destination,
            from: ip,
            to,
            hop_limit: HOP_LIMIT,
            kind: SOLICITATION,
            code: 0,
            flags: 0,
            target,
            link_layer: Some(mac),
        }
    }

    /// Duplicate address detection: is `wanted` taken? Not a claim to it.
    #[must_use]
    pub fn dad(mac: Mac, wanted: Ipv6Addr) -> Self {
        Self {
            link_layer: None,
            ..Self::solicitation(mac, Ipv6Addr::UNSPECIFIED, wanted)
        }
    }

    /// An advertisement that nobody asked for, to everyone, from the address itself.
    #[must_use]
    pub fn unsolicited(mac: Mac, ip: Ipv6Addr, r#override: bool) -> Self {
        Self {
            source: mac,
            destination: multicast_mac(ALL_NODES),
            from: ip,
            to: ALL_NODES,
            hop_limit: HOP_LIMIT,
            kind: ADVERTISEMENT,
            code: 0,
            flags: if r#override { OVERRIDE } else { 0 },
            target: ip,
            link_layer: Some(mac),
        }
    }

    /// The answer to a solicitation.
    #[must_use]
    pub fn solicited(mac: Mac, ip: Ipv6Addr, asker_mac: Mac, asker: Ipv6Addr) -> Self {
        Self {
            destination: asker_mac,
            to: asker,
            flags: SOLICITED | OVERRIDE,
            ..Self::unsolicited(mac, ip, true)
        }
    }

    /// The frame.
    ///
    /// # Panics
    /// Never: the message has a fixed length.
    #[must_use]
    pub fn frame(self) -> Vec<u8> {
        // Option 1 is the source's address, option 2 the target's; the length counts eight bytes.
        let kind = 1 + u8::from(self.kind == ADVERTISEMENT);
        let option = self
            .link_layer
            .map(|[a, b, c, d, e, f]| [kind, 1, a, b, c, d, e, f]);
        let message = Icmpv6Type::Unknown {
            type_u8: self.kind,
            code_u8: self.code,
            bytes5to8: [self.flags, 0, 0, 0],
        };
        let body = [
            self.target.octets().as_slice(),
            option.as_slice().as_flattened(),
        ]
        .concat();
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(self.source, self.destination)
            .ipv6(self.from.octets(), self.to.octets(), self.hop_limit)
            .icmpv6(message)
            .write_to_vec(&mut frame, &body)
            .expect("a neighbour discovery message fits a packet");
        frame
    }
}

/// [`Ndp::solicitation`] as a frame.
#[must_use]
pub fn neighbour_solicitation(mac: Mac, ip: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    Ndp::solicitation(mac, ip, target).frame()
}

/// [`Ndp::dad`] as a frame.
#[must_use]
pub fn dad_solicitation(mac: Mac, wanted: Ipv6Addr) -> Vec<u8> {
    Ndp::dad(mac, wanted).frame()
}

/// [`Ndp::unsolicited`] as a frame.
#[must_use]
pub fn unsolicited_advertisement(mac: Mac, ip: Ipv6Addr, r#override: bool) -> Vec<u8> {
    Ndp::unsolicited(mac, ip, r#override).frame()
}

/// [`Ndp::solicited`] as a frame.
#[must_use]
pub fn solicited_advertisement(mac: Mac, ip: Ipv6Addr, asker_mac: Mac, asker: Ipv6Addr) -> Vec<u8> {
    Ndp::solicited(mac, ip, asker_mac, asker).frame()
}

fn solicited_node(target: Ipv6Addr) -> (Mac, Ipv6Addr) {
    let [.., a, b, c] = target.octets();
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(&[a, b, c]);
    let group = Ipv6Addr::from(group);
    (multicast_mac(group), group)
}

fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    #[test]
    fn solicitation_goes_to_the_group_of_its_target() {
        let target = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x12, 0x3456);
        let frame = dad_solicitation(MAC, target);
        assert_eq!(&frame[..6], &[0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(frame[21], 255, "hop limit");
    }
}
