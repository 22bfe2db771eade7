//! The maps that every object has, behind plain functions. Who writes each is said where its value is
//! defined, in [`crate::abi`].

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, xdp_action::XDP_DROP},
    macros::map,
    maps::{Array, DevMap, HashMap, PerCpuArray},
};

use crate::abi::{
    Cpu, Drop, Forwarded, Label, MAX_COUNTERS, MAX_PORTS, Meta, Port, Traffic, agent, traffic,
};

#[map]
static PORTS: HashMap<u32, Port> = HashMap::pinned(MAX_PORTS, 0);
#[map]
static EGRESS: DevMap = DevMap::pinned(MAX_PORTS, 0);
#[map]
static TRAFFIC: PerCpuArray<Traffic> = PerCpuArray::pinned(traffic::ENTRIES, 0);
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::pinned(Drop::ENTRIES, 0);
#[map]
static CPU: PerCpuArray<Cpu> = PerCpuArray::pinned(1, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::pinned(MAX_COUNTERS, 0);
#[map]
static META: Array<Meta> = Array::pinned(1, 0);

// The agent's own state. No program reads it; it stands here so that there is one list of maps.
#[map]
static AGENT: Array<u64> = Array::pinned(agent::ENTRIES, BPF_F_MMAPABLE);
#[map]
static AGENT_TRAFFIC: Array<Forwarded> = Array::pinned(traffic::ENTRIES, BPF_F_MMAPABLE);
#[map]
static PORT_NAMES: Array<Label> = Array::pinned(MAX_PORTS, 0);

/// The port of an ifindex.
#[inline(always)]
pub fn port(ifindex: u32) -> Option<&'static Port> {
    // SAFETY: the agent replaces an element as a whole, and a preallocated one that is reused
    // under a reader is another port's: what is read from it is counted wrongly at worst.
    unsafe { PORTS.get(ifindex) }
}

/// Traffic counters of an attachment on this CPU.
#[inline(always)]
pub fn traffic(index: u32) -> Option<*mut Traffic> {
    TRAFFIC.get_ptr_mut(index)
}

/// The counter of a drop reason on this CPU.
#[inline(always)]
pub fn drops(reason: Drop) -> Option<*mut u64> {
    DROPS.get_ptr_mut(reason as u32)
}

/// A counter on this CPU, by its index.
#[inline(always)]
pub fn counter(index: u32) -> Option<*mut u64> {
    COUNTERS.get_ptr_mut(index)
}

/// What this CPU's programs know of themselves.
#[inline(always)]
pub fn cpu() -> Option<*mut Cpu> {
    CPU.get_ptr_mut(0)
}

/// The kernel's number of the map that frames are redirected by; 0 before the agent has written it.
#[inline(always)]
pub fn egress_id() -> u32 {
    META.get(0).map_or(0, |meta| meta.egress_map)
}

/// Sends the frame out of a port.
#[inline(always)]
pub fn redirect(port: u32) -> u32 {
    EGRESS
        .redirect(port, u64::from(XDP_DROP))
        .unwrap_or(XDP_DROP)
}
