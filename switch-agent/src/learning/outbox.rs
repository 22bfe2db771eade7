//! Frames that the agent gives back: collected per port, sent in their order, counted.

use std::collections::{BTreeMap, HashMap};

use aya::maps::MapError;
use switch_ebpf::{
    abi::{Forwarded, Leg, agent},
    frame::{Frame, Retag, retag_into},
};

use crate::{
    datapath::{PortEntry, Tables},
    net::packet::{PacketSocket, SendError},
};

/// Frames that wait for one port, one behind the other.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    frames: Vec<Waited>,
}

struct Waited {
    end: usize,
    traffic: u32,
    slot: Option<u32>,
}

/// The agent's way out.
pub struct Outbox {
    ports: BTreeMap<u32, (PacketSocket, Waiting)>,
}

impl Outbox {
    /// A way out of each of these ports.
    pub fn new(ports: &[PortEntry]) -> Result<Self, SendError> {
        let open = |port: &PortEntry| {
            Ok((
                port.index,
                (PacketSocket::open(&port.link)?, Waiting::default()),
            ))
        };
        Ok(Self {
            ports: ports.iter().map(open).collect::<Result<_, _>>()?,
        })
    }

    /// Puts a frame in line for a leg, with that leg's tag. `slot` is the binding's that it is
    /// counted for.
    pub fn push(
        &mut self,
        bytes: &[u8],
        frame: &Frame,
        own_tag: bool,
        leg: &Leg,
        slot: Option<u32>,
    ) {
        let Some((_, waiting)) = self.ports.get_mut(&leg.port) else {
            return;
        };
        let change = Retag::between(frame.outer, own_tag, leg.tag());
        retag_into(bytes, change, &mut waiting.bytes);
        waiting.frames.push(Waited {
            end: waiting.bytes.len(),
            traffic: leg.traffic,
            slot,
        });
    }

    /// Sends everything, and counts what left in `tables`. Returns the first failure of each port.
    pub fn flush(&mut self, tables: &mut Tables) -> Result<Vec<SendError>, MapError> {
        let mut errors = Vec::new();
        for (socket, waiting) in self
            .ports
            .values_mut()
            .filter(|(_, w)| !w.frames.is_empty())
        {
            let mut start = 0;
            let bytes = &waiting.bytes;
            let frames = waiting.frames.iter().map(|frame| {
                let slice = &bytes[start..frame.end];
                start = frame.end;
                slice
            });
            let sent = socket.send_batch(frames);
            count(tables, &waiting.frames, sent.sent)?;
            let lost = sent.too_big + sent.failed;
            if lost > 0 {
                tables.add_agent(agent::UNDELIVERED, lost as u64)?;
            }
            errors.extend(sent.error);
            waiting.bytes.clear();
            waiting.frames.clear();
        }
        Ok(errors)
    }
}

/// Adds up the first `sent` frames, so that each counter is written once a batch.
fn count(tables: &mut Tables, frames: &[Waited], sent: usize) -> Result<(), MapError> {
    let mut by_traffic: HashMap<u32, Forwarded> = HashMap::new();
    let mut by_slot: HashMap<u32, Forwarded> = HashMap::new();
    let mut start = 0;
    for frame in frames.iter().take(sent) {
        let bytes = (frame.end - start) as u64;
        start = frame.end;
        let places = [
            Some((&mut by_traffic, frame.traffic)),
            frame.slot.map(|s| (&mut by_slot, s)),
        ];
        for (sums, index) in places.into_iter().flatten() {
            let sum = sums.entry(index).or_default();
            sum.packets += 1;
            sum.bytes += bytes;
        }
    }
    for (index, sum) in by_traffic {
        tables.add_agent_traffic(index, sum)?;
    }
    for (slot, sum) in by_slot {
        tables.add_agent_flow(slot, sum)?;
    }
    Ok(())
}
