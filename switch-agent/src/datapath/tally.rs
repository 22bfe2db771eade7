//! What is counted, by the datapath on each CPU and by the agent.

use aya::maps::{MapData, MapError, PerCpuArray};
use switch_ebpf::abi::{Drop, Forwarded, Traffic, names};

use super::{
    DatapathError, Pins,
    mapped::Mapped,
    tables::{open, open_mapped},
};

/// The counters that every instance has.
pub struct Tally {
    traffic: PerCpuArray<MapData, Traffic>,
    drops: PerCpuArray<MapData, u64>,
    counters: PerCpuArray<MapData, u64>,
    agent: Mapped<u64>,
    agent_traffic: Mapped<Forwarded>,
}

impl Tally {
    /// Opens what an instance has pinned.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self {
            traffic: open!(pins, names::TRAFFIC, PerCpuArray),
            drops: open!(pins, names::DROPS, PerCpuArray),
            counters: open!(pins, names::COUNTERS, PerCpuArray),
            agent: open_mapped!(pins, names::AGENT),
            agent_traffic: open_mapped!(pins, names::AGENT_TRAFFIC),
        })
    }

    /// An attachment's traffic, over all CPUs and the agent.
    pub fn traffic(&self, index: u32) -> Result<Traffic, MapError> {
        let agent = self.agent_traffic.get(index)?;
        let start = Traffic {
            tx_packets: agent.packets,
            tx_bytes: agent.bytes,
            ..Traffic::default()
        };
        Ok(self
            .traffic
            .get(&index, 0)?
            .iter()
            .fold(start, |sum, cpu| Traffic {
                rx_packets: sum.rx_packets + cpu.rx_packets,
                rx_bytes: sum.rx_bytes + cpu.rx_bytes,
                tx_packets: sum.tx_packets + cpu.tx_packets,
                tx_bytes: sum.tx_bytes + cpu.tx_bytes,
            }))
    }

    /// Frames dropped for a reason.
    pub fn drops(&self, reason: Drop) -> Result<u64, MapError> {
        Ok(self.drops.get(&(reason as u32), 0)?.iter().sum())
    }

    /// A counter of the datapath, by its index.
    pub fn counter(&self, index: u32) -> Result<u64, MapError> {
        Ok(self.counters.get(&index, 0)?.iter().sum())
    }

    /// A counter of the agent, by its index.
    pub fn agent(&self, index: u32) -> Result<u64, MapError> {
        self.agent.get(index)
    }

    /// Adds to a counter of the agent. Only one of its threads does.
    pub fn add_agent(&mut self, index: u32, by: u64) -> Result<(), MapError> {
        self.agent.change(index, |sum| sum + by)
    }

    /// Adds frames that the agent sent out of an attachment.
    pub fn add_agent_traffic(&mut self, index: u32, sent: Forwarded) -> Result<(), MapError> {
        self.agent_traffic.change(index, |sum| Forwarded {
            packets: sum.packets + sent.packets,
            bytes: sum.bytes + sent.bytes,
        })
    }
}
