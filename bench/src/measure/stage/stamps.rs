//! Frames with a number and a time, from VMs and to them: `bench_ebpf::stamped`.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result};
use aya::{
    Ebpf, TestRunOptions,
    maps::{Array, MapData, PerCpuArray},
    programs::{TestRun, TestRunAttrs, Xdp},
};
use bench_ebpf::stamped::{Arrival, DOWN, PAYLOAD, PORT, Sender, TAGGED, UNTAGGED, UP};
use lab::{Mac, Namespace, Tag, frame};

use crate::rig::{Cables, context, object, vm};

/// Frames that the kernel has in its hands at once.
const BATCH: u32 = 64;
/// Somebody at the client's side.
const CLIENT: Mac = [0x52, 0x54, 0, 0, 0, 9];
/// Its address.
const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 9);
/// The UDP checksum in an IPv4 packet.
const UDP_CHECKSUM: usize = 20 + 6;
/// The header checksum in an IPv4 packet.
const CHECKSUM: usize = 10;

/// What sends such frames at the far ends of a switch's two cables, and what notes them there.
pub struct Stamps {
    ebpf: Ebpf,
    senders: Array<MapData, Sender>,
    arrived_down: Array<MapData, Arrival>,
    arrived_up: Array<MapData, Arrival>,
    counts: PerCpuArray<MapData, u64>,
    sites: End,
    client: End,
}

/// The far end of a cable.
struct End {
    namespace: Namespace,
    port: &'static str,
    index: u32,
}

/// Which frames VMs send.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// The first VM's number.
    pub first: u32,
    /// How many VMs there are.
    pub vms: u32,
    /// How many frames they send, in turn.
    pub frames: u32,
    /// The VLAN they are in.
    pub vlan: u16,
}

impl Stamps {
    /// Loads the programs that send. What they send is noted where somebody [listens](Self::listen).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(cables: &Cables) -> Result<Self> {
        let mut ebpf = object::open()?;
        for name in ["from_vm", "to_vm"] {
            object::load(&mut ebpf, name)?;
        }
        Ok(Self {
            senders: object::map(&mut ebpf, "SENDERS")?,
            arrived_down: object::map(&mut ebpf, "ARRIVED_DOWN")?,
            arrived_up: object::map(&mut ebpf, "ARRIVED_UP")?,
            counts: object::map(&mut ebpf, "STAMPED")?,
            ebpf,
            sites: End::of(&cables.sites, "pt0")?,
            client: End::of(&cables.client, "pc0")?,
        })
    }

    /// From now on notes what comes out of the switch, and swallows it.
    ///
    /// # Errors
    /// When a far end does not take the program.
    pub fn listen(&mut self) -> Result<()> {
        for (end, program) in [(&self.client, "down"), (&self.sites, "up")] {
            object::attach(&mut self.ebpf, program, &end.namespace, end.port)?;
        }
        Ok(())
    }

    /// Has VMs send frames into the trunk, as fast as it takes them.
    ///
    /// # Errors
    /// When the kernel does not run the program.
    pub fn send_down(&mut self, burst: Burst) -> Result<()> {
        let frame = tagged(burst.vlan);
        self.senders.set(DOWN, sender(&frame, burst), 0)?;
        self.sites.send(&self.ebpf, "from_vm", &frame, burst.frames)
    }

    /// Has VMs send frames into the trunk in turn, one each `interval` at most, for some tenths of a
    /// second: the kernel takes some hundredths to begin and to end. Says how many it were.
    ///
    /// # Errors
    /// As [`Stamps::send_down`].
    pub fn pace_down(&mut self, vms: Burst, interval: Duration) -> Result<u32> {
        const RUNS: u32 = 8_000_000;
        let frame = tagged(vms.vlan);
        let sender = Sender {
            interval_ns: u64::try_from(interval.as_nanos())?.max(1),
            ..sender(&frame, vms)
        };
        self.senders.set(DOWN, sender, 0)?;
        self.sites.send(&self.ebpf, "from_vm", &frame, RUNS)?;
        Ok(self.senders.get(&DOWN, 0)?.next)
    }

    /// Has a client send a frame to a VM.
    ///
    /// # Errors
    /// As [`Stamps::send_down`].
    pub fn send_up(&mut self, number: u32) -> Result<()> {
        let frame = plain((CLIENT, CLIENT_IPV4), nobody());
        let mut header = [0; TAGGED];
        header[..UNTAGGED].copy_from_slice(&frame[..UNTAGGED]);
        let sender = Sender {
            header,
            sum: sum(&frame),
            next: 0,
            first: number,
            count: 1,
            ..Sender::default()
        };
        self.senders.set(UP, sender, 0)?;
        self.client.send(&self.ebpf, "to_vm", &frame, 1)
    }

    /// When the first frame of a VM was sent and arrived at the client, if it has.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn arrived_down(&self, number: u32) -> Result<Option<Arrival>> {
        first(&self.arrived_down, number)
    }

    /// The same for the first frame to a VM, which arrives at a site.
    ///
    /// # Errors
    /// As [`Stamps::arrived_down`].
    pub fn arrived_up(&self, number: u32) -> Result<Option<Arrival>> {
        first(&self.arrived_up, number)
    }

    /// How many frames of VMs have arrived at the client.
    ///
    /// # Errors
    /// As [`Stamps::arrived_down`].
    pub fn count_down(&self) -> Result<u64> {
        Ok(self.counts.get(&DOWN, 0)?.iter().sum())
    }
}

fn first(arrived: &Array<MapData, Arrival>, number: u32) -> Result<Option<Arrival>> {
    let arrival = arrived.get(&number, 0)?;
    Ok((arrival.arrived_ns != 0).then_some(arrival))
}

/// The VM whose MAC and address end with zeroes.
fn nobody() -> (Mac, Ipv4Addr) {
    (vm::mac(0), Ipv4Addr::new(10, 0, 0, 0))
}

/// A frame without a tag. One of the addresses is a VM's, which the program writes.
fn plain(source: (Mac, Ipv4Addr), destination: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut frame = frame::udp(
        source.0,
        destination.0,
        (source.1, PORT).into(),
        (destination.1, PORT).into(),
        &[0; PAYLOAD],
    );
    // None, as IPv4 allows: the payload will be another one.
    frame[UNTAGGED + UDP_CHECKSUM..][..2].fill(0);
    frame
}

/// What a VM sends, with a site's tag.
fn tagged(vlan: u16) -> Vec<u8> {
    frame::tagged(&[Tag::c(vlan)], &plain(nobody(), (CLIENT, CLIENT_IPV4)))
}

/// What makes such frames the VMs' own.
fn sender(tagged: &[u8], vms: Burst) -> Sender {
    let mut header = [0; TAGGED];
    header.copy_from_slice(&tagged[..TAGGED]);
    Sender {
        header,
        sum: sum(&tagged[TAGGED - UNTAGGED..]),
        first: vms.first,
        count: vms.vms,
        ..Sender::default()
    }
}

/// The sum that the IPv4 checksum of a frame without a tag is made of.
fn sum(plain: &[u8]) -> u16 {
    let at = UNTAGGED + CHECKSUM;
    !u16::from_be_bytes([plain[at], plain[at + 1]])
}

impl End {
    fn of(namespace: &Namespace, port: &'static str) -> Result<Self> {
        Ok(Self {
            namespace: namespace.clone(),
            port,
            index: namespace.link(port)?.index,
        })
    }

    /// Runs a program on copies of a frame, and sends them into the cable.
    fn send(&self, ebpf: &Ebpf, name: &str, frame: &[u8], count: u32) -> Result<()> {
        let program = ebpf.program(name);
        let program: &Xdp = program
            .with_context(|| format!("there is no program {name}"))?
            .try_into()?;
        let context = context(self.index, frame);
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            repeat: count,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::new()
        };
        // The kernel looks the port up in the namespace of the thread.
        let ran = self.namespace.run(|| program.test_run(options));
        ran.with_context(|| format!("send {count} frames into {}", self.port))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bench_ebpf::stamped::PACKET;

    use super::*;

    #[test]
    fn frames_are_as_the_programs_expect_them() {
        let frame = plain(nobody(), (CLIENT, CLIENT_IPV4));
        assert_eq!(frame.len(), UNTAGGED + PACKET);
        let words = frame[UNTAGGED..][..20].chunks(2);
        let words = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        let all: u32 = words.sum();
        assert_eq!((all & 0xffff) + (all >> 16), 0xffff);
    }
}
