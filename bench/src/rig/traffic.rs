//! Which frames.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use bench_ebpf::{HEADERS, Stream};
use lab::{
    Tag,
    fig1::CLIENT_MAC,
    frame::{tagged, udp},
};

use super::{Family, VLAN, vm};

const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const PORT: u16 = 5000;

const MACS: usize = 12;
const TAG: usize = 4;
const ETHERNET: usize = 14;
const UDP: usize = 8;
/// Where the UDP header has its checksum.
const UDP_CHECKSUM: usize = 6;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the VMs.
    Up,
    /// From the VMs to the client.
    Down,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// UDP between the client and some VMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// How long a frame is in bytes without a tag, from the first MAC to the end of the data.
    pub length: usize,
    /// Which way it goes.
    pub direction: Direction,
    /// Which addresses it has.
    pub family: Family,
    /// The number of the first VM.
    pub first: u32,
    /// How many VMs there are from that one on.
    pub flows: u32,
}

/// Where things are in an untagged frame.
struct Layout {
    ip: usize,
    source: usize,
    destination: usize,
    checksum: usize,
}

impl Family {
    const fn layout(self) -> Layout {
        match self {
            // The header's own checksum; the one of UDP is left out, which is allowed.
            Self::V4 => Layout {
                ip: 20,
                source: 12 + 1,
                destination: 16 + 1,
                checksum: 10,
            },
            Self::V6 => Layout {
                ip: 40,
                source: 8 + 13,
                destination: 24 + 13,
                checksum: 40 + UDP_CHECKSUM,
            },
        }
    }
}

impl Traffic {
    /// A frame as it enters the cable.
    pub fn frame(&self) -> Vec<u8> {
        self.frame_of(0, [0x02, 0, 0, 0, 0, 0])
    }

    /// The frame of the VM whose address has these low 24 bits.
    fn frame_of(&self, low: u32, mac: lab::Mac) -> Vec<u8> {
        let client = match self.family {
            Family::V4 => IpAddr::from(CLIENT_V4),
            Family::V6 => IpAddr::from(CLIENT_V6),
        };
        let (client, vm) = ((client, PORT), (vm::from_low(self.family, low), PORT));
        let Layout { ip, .. } = self.family.layout();
        let data = vec![0; self.length.saturating_sub(ETHERNET + ip + UDP)];
        let mut frame = match self.direction {
            Direction::Up => udp(CLIENT_MAC, mac, client.into(), vm.into(), &data),
            Direction::Down => udp(mac, CLIENT_MAC, vm.into(), client.into(), &data),
        };
        if self.family == Family::V4 {
            let at = ETHERNET + ip + UDP_CHECKSUM;
            frame[at..at + 2].fill(0);
        }
        match self.direction {
            Direction::Up => frame,
            Direction::Down => tagged(&[Tag::c(VLAN)], &frame),
        }
    }

    /// The same for the generator.
    pub fn stream(&self) -> Stream {
        let frame = self.frame();
        let layout = self.family.layout();
        let (mac_at, tag, address) = match self.direction {
            Direction::Up => (3, 0, layout.destination),
            Direction::Down => (MACS / 2 + 3, TAG, layout.source),
        };
        let checksum_at = ETHERNET + tag + layout.checksum;
        let checksum = u16::from_be_bytes([frame[checksum_at], frame[checksum_at + 1]]);
        let mut headers = [0; HEADERS];
        headers.copy_from_slice(&frame[..HEADERS]);
        Stream {
            headers,
            mac_at: mac_at as u32,
            address_at: (ETHERNET + tag + address) as u32,
            checksum_at: checksum_at as u32,
            sum: (!checksum).into(),
            first: self.first,
            flows: self.flows.max(1),
            length: frame.len() as u32,
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (family, direction) = (self.family.name(), self.direction);
        let Self { length, flows, .. } = self;
        write!(f, "{length} bytes, {direction}, {family}, ")?;
        match flows {
            1 => f.write_str("1 flow"),
            _ => write!(f, "{flows} flows"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the generator makes of a stream.
    fn generated(traffic: &Traffic, low: u32) -> Vec<u8> {
        let stream = traffic.stream();
        let mut frame = traffic.frame();
        let [_, bytes @ ..] = low.to_be_bytes();
        let mut write = |at: u32, bytes: &[u8]| {
            frame[at as usize..][..bytes.len()].copy_from_slice(bytes);
        };
        write(0, &stream.headers);
        write(stream.mac_at, &bytes);
        write(stream.address_at, &bytes);
        write(stream.checksum_at, &bench_ebpf::checksum(stream.sum, low));
        frame
    }

    #[test]
    fn the_generator_makes_the_frames_of_the_vms() {
        for direction in [Direction::Up, Direction::Down] {
            for family in [Family::V4, Family::V6] {
                for length in [64, 1500] {
                    let traffic = Traffic {
                        length,
                        direction,
                        family,
                        first: 0,
                        flows: 10,
                    };
                    for low in [0_u32, 1, 0x1234, 0xab_cdef, 0xff_ffff] {
                        let [_, a, b, c] = low.to_be_bytes();
                        let expected = traffic.frame_of(low, [0x02, 0, 0, a, b, c]);
                        assert_eq!(generated(&traffic, low), expected, "{traffic}, {low:#x}");
                        let tag = usize::from(direction == Direction::Down) * TAG;
                        assert_eq!(expected.len(), length + tag);
                    }
                }
            }
        }
    }
}
