//! A frame's headers in a line for people.

use std::net::IpAddr;

use switch_ebpf::frame::{
    ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_RARP, Frame, Kind, TAG_LEN,
    TPID_8021AD, VID_MASK,
};

use crate::types::MacAddress;

/// Offset of the outermost tag, behind the two MACs.
const TAGS: usize = 12;
/// Bytes of an ethertype, behind the last tag.
const ETHERTYPE_LEN: usize = 2;

/// MACs, tags, ethertype and addresses of a frame of `length` bytes that begins with `header`. An
/// advertisement is shown with its target, an ARP message with its sender and target.
pub fn frame_text(header: &[u8], length: usize) -> String {
    let Ok(frame) = Frame::read(header) else {
        return "unreadable".to_owned();
    };
    let (source, destination) = (MacAddress(frame.source), MacAddress(frame.destination));
    let mut text = format!("{source} > {destination}");
    let tags = header.get(TAGS..frame.network_offset - ETHERTYPE_LEN);
    for tag in tags.unwrap_or_default().chunks_exact(TAG_LEN) {
        let tpid = u16::from_be_bytes([tag[0], tag[1]]);
        let tci = u16::from_be_bytes([tag[2], tag[3]]);
        text += &format!(", vlan {}", tci & VID_MASK);
        if tpid == TPID_8021AD {
            text += "/802.1ad";
        }
        if tci & !VID_MASK != 0 {
            text += &format!(" pcp {} dei {}", tci >> 13, (tci >> 12) & 1);
        }
    }
    let name = match frame.ethertype {
        ETHERTYPE_IPV4 => "IPv4",
        ETHERTYPE_IPV6 => "IPv6",
        ETHERTYPE_ARP => "ARP",
        ETHERTYPE_RARP => "RARP",
        _ => "ethertype",
    };
    text += &format!(", {name} 0x{:04x}", frame.ethertype);
    if let Ok(packet) = frame.packet(header, length)
        && !matches!(packet.kind, Kind::Rarp | Kind::Other)
    {
        let (from, to) = (IpAddr::from(packet.speaker), IpAddr::from(packet.subject));
        text += &format!(", {from} > {to}");
    }
    text
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    #[test]
    fn lines() {
        let macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 5]].concat();
        let rarp = [&macs[..], &[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3], &[0; 20]].concat();
        assert_eq!(
            frame_text(&rarp, 42),
            "02:00:00:00:00:05 > 02:00:00:00:00:01, RARP 0x8035"
        );
        let mut udp = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 1])
            .ipv4([10, 0, 0, 5], [10, 0, 0, 1], 64)
            .udp(1, 2)
            .write(&mut udp, &[0; 1000])
            .expect("a frame");
        let tags = [0x88, 0xa8, 0x00, 0x02, 0x81, 0, 0x70, 0x07];
        let tagged = [&udp[..12], &tags, &udp[12..]].concat();
        assert_eq!(
            frame_text(&tagged[..96], tagged.len()),
            "02:00:00:00:00:05 > 02:00:00:00:00:01, vlan 2/802.1ad, vlan 7 pcp 3 dei 1, \
             IPv4 0x0800, 10.0.0.5 > 10.0.0.1"
        );
        assert_eq!(frame_text(&rarp[..13], 13), "unreadable");
        let lldp = [&macs[..], &[0x88, 0xcc, 0, 0]].concat();
        assert!(frame_text(&lldp, 16).ends_with(", ethertype 0x88cc"));
    }
}
