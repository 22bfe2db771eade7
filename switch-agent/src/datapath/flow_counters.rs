//! Each binding's traffic: a row of counters for the agent, and one for each CPU.

use aya::{maps::MapError, util::nr_cpus};
use switch_ebpf::abi::{FlowTraffic, flow_row, names};

use super::{DatapathError, Pins, mapped::Mapped, tables::open_mapped};

/// The counters.
pub struct FlowCounters {
    rows: Mapped<FlowTraffic>,
    /// How long a row is.
    max_flows: u32,
}

impl FlowCounters {
    /// Opens what an instance has pinned for so many flows.
    pub fn open(pins: &Pins, max_flows: u32) -> Result<Self, DatapathError> {
        Ok(Self {
            rows: open_mapped!(pins, names::FLOW_TRAFFIC),
            max_flows,
        })
    }

    /// How many elements the map has for so many flows.
    pub fn entries(max_flows: u32) -> Result<u32, DatapathError> {
        let cpus = nr_cpus().map_err(|(_, source)| DatapathError::Cpus(source))?;
        u32::try_from(cpus + 1)
            .ok()
            .and_then(|rows| rows.checked_mul(max_flows))
            .ok_or(DatapathError::TooManyFlows { max_flows, cpus })
    }

    /// The sum of a slot's counters.
    pub fn sum(&self, slot: u32) -> Result<FlowTraffic, MapError> {
        let mut sum = FlowTraffic::default();
        for index in self.indices(slot) {
            sum = together(&sum, &self.rows.get(index)?);
        }
        Ok(sum)
    }

    /// Adds what the agent has sent.
    pub fn add(&mut self, slot: u32, sent: &FlowTraffic) -> Result<(), MapError> {
        let index = flow_row::AGENT * self.max_flows + slot;
        self.rows.change(index, |sum| together(&sum, sent))
    }

    /// Sets a slot's counters to zero.
    pub fn reset(&mut self, slot: u32) -> Result<(), MapError> {
        for index in self.indices(slot) {
            self.rows.change(index, |_| FlowTraffic::default())?;
        }
        Ok(())
    }

    fn indices(&self, slot: u32) -> impl Iterator<Item = u32> + use<> {
        (slot..self.rows.len()).step_by(self.max_flows.max(1) as usize)
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
