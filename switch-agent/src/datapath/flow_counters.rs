//! Each binding's traffic: what the agent counts, and what the datapath does, with and without a shortcut.

use aya::maps::MapError;
use switch_ebpf::abi::{BindingKey, FlowTraffic, names};

use super::{DatapathError, Pins, mapped::Mapped, shortcuts::Shortcuts, tables::open_mapped};

/// The counters.
pub struct FlowCounters {
    agent: Mapped<FlowTraffic>,
    datapath: Mapped<FlowTraffic>,
}

impl FlowCounters {
    /// Opens what an instance has pinned.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self {
            agent: open_mapped!(pins, names::AGENT_FLOW_TRAFFIC),
            datapath: open_mapped!(pins, names::FLOW_TRAFFIC),
        })
    }

    /// The sum of the counters of an address and its slot.
    pub fn sum(
        &self,
        shortcuts: &Shortcuts,
        key: &BindingKey,
        slot: u32,
    ) -> Result<FlowTraffic, MapError> {
        let sum = together(&self.agent.get(slot)?, &self.datapath.get(slot)?);
        Ok(together(&sum, &shortcuts.sum(key)?))
    }

    /// Adds what the agent has sent.
    pub fn add(&mut self, slot: u32, sent: &FlowTraffic) -> Result<(), MapError> {
        self.agent.change(slot, |sum| together(&sum, sent))
    }

    /// Sets a slot's counters to zero.
    pub fn reset(&mut self, slot: u32) -> Result<(), MapError> {
        self.agent.change(slot, |_| FlowTraffic::default())?;
        self.datapath.change(slot, |_| FlowTraffic::default())
    }
}

fn together(a: &FlowTraffic, b: &FlowTraffic) -> FlowTraffic {
    FlowTraffic {
        up_packets: a.up_packets + b.up_packets,
        up_bytes: a.up_bytes + b.up_bytes,
        down_packets: a.down_packets + b.down_packets,
        down_bytes: a.down_bytes + b.down_bytes,
        down_last_ns: a.down_last_ns.max(b.down_last_ns),
    }
}
