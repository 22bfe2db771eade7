//! IPv6 neighbour discovery.

use std::net::Ipv6Addr;

use etherparse::{Icmpv6Type, PacketBuilder, icmpv6::NeighborAdvertisementHeader};

use super::Mac;

/// Neighbour discovery from further away is not to be believed (RFC 4861).
const HOP_LIMIT: u8 = 255;

/// Who has `target`? Tell `ip`. To the target's solicited-node group.
#[must_use]
pub fn neighbour_solicitation(mac: Mac, ip: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(target);
    let option = link_layer_option(1, mac);
    icmpv6(
        mac,
        ip,
        group,
        Icmpv6Type::NeighborSolicitation,
        &[&target.octets(), option.as_slice()],
    )
}

/// Duplicate address detection: is `wanted` taken? Not a claim to it.
#[must_use]
pub fn dad_solicitation(mac: Mac, wanted: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(wanted);
    let none = Ipv6Addr::UNSPECIFIED;
    icmpv6(
        mac,
        none,
        group,
        Icmpv6Type::NeighborSolicitation,
        &[&wanted.octets()],
    )
}

/// An advertisement that nobody asked for, to everyone, from the address itself.
#[must_use]
pub fn unsolicited_advertisement(mac: Mac, ip: Ipv6Addr, r#override: bool) -> Vec<u8> {
    let everyone = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let kind = advertisement(false, r#override);
    let option = link_layer_option(2, mac);
    icmpv6(
        mac,
        ip,
        (multicast_mac(everyone), everyone),
        kind,
        &[&ip.octets(), &option],
    )
}

/// The answer to a solicitation.
#[must_use]
pub fn solicited_advertisement(mac: Mac, ip: Ipv6Addr, asker_mac: Mac, asker: Ipv6Addr) -> Vec<u8> {
    let option = link_layer_option(2, mac);
    icmpv6(
        mac,
        ip,
        (asker_mac, asker),
        advertisement(true, true),
        &[&ip.octets(), &option],
    )
}

fn advertisement(solicited: bool, r#override: bool) -> Icmpv6Type {
    Icmpv6Type::NeighborAdvertisement(NeighborAdvertisementHeader {
        router: false,
        solicited,
        r#override,
    })
}

/// A neighbour discovery message; `body` is what follows the first eight bytes.
fn icmpv6(
    mac: Mac,
    ip: Ipv6Addr,
    to: (Mac, Ipv6Addr),
    kind: Icmpv6Type,
    body: &[&[u8]],
) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(mac, to.0)
        .ipv6(ip.octets(), to.1.octets(), HOP_LIMIT)
        .icmpv6(kind)
        .write_to_vec(&mut frame, &body.concat())
        .expect("a neighbour discovery message fits a packet");
    frame
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

/// Option 1 is the source's address, option 2 the target's; the length counts eight bytes.
fn link_layer_option(kind: u8, [a, b, c, d, e, f]: Mac) -> [u8; 8] {
    [kind, 1, a, b, c, d, e, f]
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
