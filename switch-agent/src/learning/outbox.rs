//! Frames that the agent gives back, and its own questions: collected per port, sent in their order,
//! counted.

use std::collections::{BTreeMap, HashMap};

use aya::maps::MapError;
use switch_ebpf::{
    abi::{FlowTraffic, Forwarded, Leg, agent},
    frame::{Frame, Retag, retag_into},
};

use crate::{
    datapath::{PortEntry, Tables},
    net::packet::{PacketSocket, SendError, Sent},
};

/// Frames that wait for one port, one behind the other.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    frames: Vec<Waited>,
}

struct Waited {
    end: usize,
    /// The attachment it is counted for; nothing for the agent's own, which never came in.
    traffic: Option<u32>,
    /// The slot it is counted under, and when it came in.
    flow: Option<(u32, u64)>,
}

/// The agent's way out.
pub struct Outbox {
    ports: BTreeMap<u32, (PacketSocket, Waiting)>,
    /// Frames too long for their leg, not counted yet.
    too_big: u64,
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
            too_big: 0,
        })
    }

    /// Puts a frame in line for a leg, with that leg's tag. `flow` is the slot of the binding that
    /// it is counted for, and when it came in.
    pub fn push(
        &mut self,
        bytes: &[u8],
        frame: &Frame,
        own_tag: bool,
        leg: &Leg,
        flow: Option<(u32, u64)>,
    ) {
        let change = Retag::between(frame.outer(), own_tag, leg.tag());
        self.wait(bytes, change, leg, Some(leg.traffic), flow);
    }

    /// Puts an untagged question of the agent's own in line for a leg.
    pub fn push_question(&mut self, bytes: &[u8], leg: &Leg) {
        let change = Retag::between(None, false, leg.tag());
        self.wait(bytes, change, leg, None, None);
    }

    fn wait(
        &mut self,
        bytes: &[u8],
        change: Retag,
        leg: &Leg,
        traffic: Option<u32>,
        flow: Option<(u32, u64)>,
    ) {
        let Some((_, waiting)) = self.ports.get_mut(&leg.port) else {
            return;
        };
        if bytes.len().wrapping_add_signed(change.growth()) > leg.max_frame as usize {
            self.too_big += 1;
            return;
        }
        retag_into(bytes, change, &mut waiting.bytes);
        waiting.frames.push(Waited {
            end: waiting.bytes.len(),
            traffic,
            flow,
        });
    }

    /// Sends everything, and counts what left in `tables`. Returns the first failure of each port.
    pub fn flush(&mut self, tables: &mut Tables) -> Result<Vec<SendError>, MapError> {
        let mut errors = Vec::new();
        if self.too_big > 0 {
            tables.add_agent(agent::UNDELIVERED, std::mem::take(&mut self.too_big))?;
        }
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
            count(tables, &waiting.frames, &sent)?;
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

/// Adds up the frames that left, so that each counter is written once a batch.
fn count(tables: &mut Tables, frames: &[Waited], sent: &Sent) -> Result<(), MapError> {
    let mut by_traffic: HashMap<u32, Forwarded> = HashMap::new();
    let mut by_slot: HashMap<u32, FlowTraffic> = HashMap::new();
    let (mut start, mut questions) = (0, 0);
    let tried = sent.sent + sent.skipped.len();
    for (place, frame) in frames.iter().take(tried).enumerate() {
        let bytes = (frame.end - start) as u64;
        start = frame.end;
        if sent.skipped.binary_search(&place).is_ok() {
            continue;
        }
        let Some(traffic) = frame.traffic else {
            questions += 1;
            continue;
        };
        let sum = by_traffic.entry(traffic).or_default();
        sum.packets += 1;
        sum.bytes += bytes;
        if let Some((slot, time_ns)) = frame.flow {
            let sum = by_slot.entry(slot).or_default();
            sum.down_packets += 1;
            sum.down_bytes += bytes;
            sum.down_last_ns = sum.down_last_ns.max(time_ns);
        }
    }
    if questions > 0 {
        tables.add_agent(agent::QUESTIONS, questions)?;
    }
    for (index, sum) in by_traffic {
        tables.add_agent_traffic(index, sum)?;
    }
    for (slot, sum) in by_slot {
        tables.add_agent_flow(slot, &sum)?;
    }
    Ok(())
}
