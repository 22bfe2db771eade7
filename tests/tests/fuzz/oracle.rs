//! What may become of frames at a switch, whatever is in them.
//!
//! It knows the attachments and reads the tags, nothing more. So it cannot say which way a frame goes,
//! but which it cannot go, how it looks when it leaves, and that every one is accounted for.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use lab::{Mac, Verdict, prog_run::Output};
use switch_ebpf::frame::MAX_CARRIED;

use crate::{
    leg::{self, Leg},
    stats::Stats,
};

/// Frames and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    frames: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, length: usize) {
        self.frames += 1;
        self.bytes += length as u64;
    }
}

/// What came out of an attachment.
#[derive(Clone, Debug, Default)]
struct Out {
    /// By the program.
    redirected: Sum,
    /// By the agent.
    arrived: Sum,
    /// Frames that the agent may have sent and that nobody can hear, see [`is_heard`].
    unheard: u64,
    /// Markers, which are no part of the round.
    markers: Sum,
    /// Frames that the agent may still send, and how often.
    due: BTreeMap<Vec<u8>, u64>,
}

/// The frames of one port, and what became of them.
pub struct Round {
    /// All attachments, the client's first.
    legs: Vec<Leg>,
    port: &'static str,
    /// The port's own MAC.
    mac: Mac,
    /// What came in, at the port and for each attachment.
    received: Sum,
    received_by: Vec<Sum>,
    markers: Sum,
    passed: u64,
    dropped: u64,
    out: Vec<Out>,
}

impl Round {
    /// A round at a port with this MAC.
    pub fn new(legs: Vec<Leg>, port: &'static str, mac: Mac) -> Self {
        Self {
            received_by: vec![Sum::default(); legs.len()],
            out: vec![Out::default(); legs.len()],
            legs,
            port,
            mac,
            received: Sum::default(),
            markers: Sum::default(),
            passed: 0,
            dropped: 0,
        }
    }

    /// The program has decided on a frame.
    pub fn went(&mut self, frame: &[u8], output: &Output) -> Result<()> {
        self.received.add(frame.len());
        let verdict = output.verdict;
        let Some(outer) = leg::outer(frame) else {
            return self.broken(verdict);
        };
        let from = leg::of(&self.legs, self.port, outer);
        if let Some(from) = from {
            self.received_by[from].add(frame.len());
        }
        let destination = leg::destination(frame);
        let Some(from) = from.filter(|_| destination != Some(self.mac)) else {
            ensure!(
                verdict == Verdict::Pass,
                "{verdict:?} of what is the host's"
            );
            ensure!(output.frame == frame, "the host gets {:02x?}", output.frame);
            self.passed += 1;
            return Ok(());
        };
        let carried = leg::tags(frame).map(|tags| {
            let own = leg::own(outer, &self.legs[from]);
            tags.len() - usize::from(own.is_some())
        });
        if carried.is_none_or(|carried| carried > MAX_CARRIED) {
            return self.broken(verdict);
        }
        // From a site to the client, and from the client to a site.
        let ways = if from == 0 { 1..self.legs.len() } else { 0..1 };
        let mut ways = ways.map(|to| {
            let sent = leg::carried(frame, outer, &self.legs[from], &self.legs[to]);
            (to, sent)
        });
        match verdict {
            Verdict::Redirect => {
                let found = ways.find(|(_, sent)| *sent == output.frame);
                let (to, sent) = found
                    .with_context(|| format!("no way for it to become {:02x?}", output.frame))?;
                let control = frame.starts_with(&[1, 0x80, 0xc2, 0, 0]) && frame[5] < 0x10;
                ensure!(!control, "a frame that no bridge forwards");
                self.out[to].redirected.add(sent.len());
            }
            Verdict::Drop => {
                self.dropped += 1;
                for (to, sent) in ways {
                    self.out[to].unheard += u64::from(!is_heard(&sent));
                    *self.out[to].due.entry(sent).or_default() += 1;
                }
            }
            _ => bail!("{verdict:?} of a frame that is not the host's"),
        }
        Ok(())
    }

    /// The program has decided on a frame that ends within its tags, or has too many.
    fn broken(&mut self, verdict: Verdict) -> Result<()> {
        ensure!(verdict == Verdict::Drop, "{verdict:?} of broken tags");
        self.dropped += 1;
        Ok(())
    }

    /// The client has sent a frame to every site, which is no part of the round.
    pub fn marked(&mut self, length: usize) {
        self.markers.add(length);
        let (client, sites) = self.legs.split_at(1);
        for (site, out) in sites.iter().zip(&mut self.out[1..]) {
            let tag = |leg: &Leg| 4 * usize::from(leg.tag.is_some());
            out.markers.add(length - tag(&client[0]) + tag(site));
        }
    }

    /// The agent has sent a frame out of a port.
    pub fn arrived(&mut self, port: &str, frame: &[u8]) -> Result<()> {
        let what = || format!("sent by the agent out of {port}: {frame:02x?}");
        let tags = leg::tags(frame).with_context(what)?;
        let to = leg::of(&self.legs, port, tags.first().copied()).with_context(what)?;
        let out = &mut self.out[to];
        match out.due.get_mut(frame) {
            Some(due) if *due > 0 => *due -= 1,
            _ => bail!("{}, which it was not handed so often", what()),
        }
        out.arrived.add(frame.len());
        Ok(())
    }

    /// Checks that what moved accounts for every frame, and for nothing else.
    pub fn check(&self, moved: &Stats) -> Result<()> {
        let is = |name: &str, expected: u64| {
            let got = moved.get(name);
            ensure!(got == expected, "{name} moved by {got}, not {expected}");
            Ok(())
        };
        is("passed", self.passed)?;
        let taken: u64 = ["misses", "flooded", "learning_packets"]
            .iter()
            .map(|name| moved.get(name))
            .sum();
        let (dropped, accounted) = (self.dropped + self.markers.frames, taken + moved.drops());
        ensure!(
            dropped == accounted,
            "{dropped} frames were dropped or handed to the agent, and {accounted} are accounted for"
        );
        let mut ports: BTreeMap<&str, [Sum; 2]> = BTreeMap::new();
        for (leg, out) in self.legs.iter().zip(&self.out) {
            let (least, most) = (
                out.redirected.frames + out.arrived.frames + out.markers.frames,
                out.unheard,
            );
            let bytes = out.redirected.bytes + out.arrived.bytes + out.markers.bytes;
            let name = match leg.site {
                Some(site) => format!("sites.{site}"),
                None => format!("ports.{}", leg.port),
            };
            let sent = moved.get(&format!("{name}.tx_packets"));
            ensure!(
                (least..=least + most).contains(&sent),
                "{name}.tx_packets moved by {sent}, not {least} to {}",
                least + most
            );
            let sent_bytes = moved.get(&format!("{name}.tx_bytes"));
            ensure!(
                sent > least || sent_bytes == bytes,
                "{name}.tx_bytes moved by {sent_bytes}, not {bytes}"
            );
            let [_, port_sent] = ports.entry(leg.port).or_default();
            port_sent.frames += sent;
            port_sent.bytes += sent_bytes;
        }
        for (leg, received) in self.legs.iter().zip(&self.received_by) {
            if let Some(site) = leg.site {
                is(&format!("sites.{site}.rx_packets"), received.frames)?;
                is(&format!("sites.{site}.rx_bytes"), received.bytes)?;
            }
        }
        for (port, [mut received, sent]) in ports {
            let parts = [
                (port == self.port, self.received),
                (port == self.legs[0].port, self.markers),
            ];
            for (_, part) in parts.iter().filter(|(here, _)| *here) {
                received.frames += part.frames;
                received.bytes += part.bytes;
            }
            is(&format!("ports.{port}.rx_packets"), received.frames)?;
            is(&format!("ports.{port}.rx_bytes"), received.bytes)?;
            is(&format!("ports.{port}.tx_packets"), sent.frames)?;
            is(&format!("ports.{port}.tx_bytes"), sent.bytes)?;
        }
        Ok(())
    }
}

/// Whether a packet socket at the other end gets a frame: the kernel takes its outer tag off, and for
/// that wants two bytes behind the ethertype (`skb_vlan_untag` in net/core/skbuff.c).
fn is_heard(frame: &[u8]) -> bool {
    const SHORTEST: usize = 20;
    frame.len() >= SHORTEST || leg::tags(frame).is_some_and(|tags| tags.is_empty())
}
