//! Reading learning packets byte by byte, without the code that writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lab::Mac;

/// A learning packet on the trunk, in VLAN 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub to_mac: Mac,
    pub from_mac: Mac,
    pub from: IpAddr,
    pub to: IpAddr,
    pub announcement: u8,
    pub flags: u8,
    pub gateway: u32,
    pub sequence: u64,
    pub vm_mac: Mac,
    /// The payload in front of the authentication tag.
    pub header: [u8; 32],
    pub tag: [u8; 32],
}

/// By ARP, as a learning packet says it.
pub const ARP: u8 = 1;
/// By an advertisement with the override flag.
pub const NA: u8 = 2;
/// By one without.
pub const WEAK_NA: u8 = 3;
/// By RARP.
pub const RARP: u8 = 4;

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Told {
    /// Reads a frame; nothing where it is no learning packet.
    pub fn read(frame: &[u8]) -> Option<Self> {
        if part(frame, 12)? != [0x81, 0, 0, 1] {
            return None;
        }
        let (from, to, udp): (IpAddr, IpAddr, usize) = match part(frame, 16)? {
            [8, 0] if frame[18] == 0x45 && frame[27] == 17 => (
                Ipv4Addr::from(part::<4>(frame, 30)?).into(),
                Ipv4Addr::from(part::<4>(frame, 34)?).into(),
                38,
            ),
            [0x86, 0xdd] if frame[24] == 17 => (
                Ipv6Addr::from(part::<16>(frame, 26)?).into(),
                Ipv6Addr::from(part::<16>(frame, 42)?).into(),
                58,
            ),
            _ => return None,
        };
        let payload: [u8; 64] = part(frame, udp + 8)?;
        if part(frame, udp + 2)? != [0, 9] || part(&payload, 0)? != *b"VMLP" {
            return None;
        }
        assert_eq!(payload[4], 1, "version");
        Some(Self {
            to_mac: part(frame, 0)?,
            from_mac: part(frame, 6)?,
            from,
            to,
            announcement: payload[5],
            flags: payload[6],
            gateway: u32::from_be_bytes(part(&payload, 8)?),
            sequence: u64::from_be_bytes(part(&payload, 12)?),
            vm_mac: part(&payload, 20)?,
            header: part(&payload, 0)?,
            tag: part(&payload, 32)?,
        })
    }
}
