//! The maps, behind plain functions. Who writes each is said where its value is defined, in
//! `switch_ebpf::abi`.

use aya_ebpf::{
    bindings::xdp_action::XDP_DROP,
    macros::map,
    maps::{Array, DevMap, HashMap, PerCpuArray, RingBuf},
};
use switch_ebpf::{
    abi::{
        Attachment, AttachmentKey, Binding, BindingKey, Counter, DEFAULT_MAX_FLOWS, Drop,
        FlowTraffic, Forwarded, Gateway, Label, Leg, MAX_GATEWAYS, MAX_NETWORKS, MAX_PORTS,
        MAX_SITES, MISS_RING, Meta, Network, Port, Redirects, Traffic, agent, traffic,
    },
    xdp::Shared,
};

#[map]
static PORTS: HashMap<u32, Port> = HashMap::pinned(MAX_PORTS, 0);
#[map]
static EGRESS: DevMap = DevMap::pinned(MAX_PORTS, 0);
#[map]
static ATTACHMENTS: HashMap<AttachmentKey, Attachment> =
    HashMap::pinned(MAX_SITES + MAX_NETWORKS, 0);
#[map]
static SITES: Array<Leg> = Array::pinned(MAX_SITES, 0);
#[map]
static NETWORKS: Array<Network> = Array::pinned(MAX_NETWORKS, 0);
#[map]
static FLOOD_DUE: Array<u64> = Array::pinned(MAX_NETWORKS, 0);
#[map]
static ANNOUNCE_DUE: Array<u64> = Array::pinned(MAX_SITES, 0);
/// Preallocated: whether a binding fits is known before, and an update never fails for memory.
#[map]
static BINDINGS: HashMap<BindingKey, Binding> = HashMap::pinned(DEFAULT_MAX_FLOWS, 0);
#[map]
static FLOW_TRAFFIC: PerCpuArray<FlowTraffic> = PerCpuArray::pinned(DEFAULT_MAX_FLOWS, 0);
#[map]
static QUEUED: Array<u64> = Array::pinned(DEFAULT_MAX_FLOWS, 0);
#[map]
static TRAFFIC: PerCpuArray<Traffic> = PerCpuArray::pinned(traffic::ENTRIES, 0);
#[map]
static RUNS: PerCpuArray<u64> = PerCpuArray::pinned(1, 0);
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::pinned(Drop::ENTRIES, 0);
#[map]
static REDIRECTS: PerCpuArray<Redirects> = PerCpuArray::pinned(1, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::pinned(Counter::ENTRIES, 0);
#[map]
static MISSES: RingBuf = RingBuf::pinned(MISS_RING, 0);
#[map]
static HEARTBEAT: Array<u64> = Array::pinned(1, 0);

#[map]
static META: Array<Meta> = Array::pinned(1, 0);

// The agent's own state. No program reads it; it stands here so that there is one list of maps.
#[map]
static GATEWAYS: HashMap<u32, Gateway> = HashMap::pinned(MAX_GATEWAYS, 0);
#[map]
static AGENT: Array<u64> = Array::pinned(agent::ENTRIES, 0);
#[map]
static AGENT_FLOWS: Array<FlowTraffic> = Array::pinned(DEFAULT_MAX_FLOWS, 0);
#[map]
static AGENT_TRAFFIC: Array<Forwarded> = Array::pinned(traffic::ENTRIES, 0);
#[map]
static SITE_NAMES: Array<Label> = Array::pinned(MAX_SITES, 0);
#[map]
static NETWORK_NAMES: Array<Label> = Array::pinned(MAX_NETWORKS, 0);
#[map]
static PORT_NAMES: Array<Label> = Array::pinned(MAX_PORTS, 0);

/// The port of an ifindex.
#[inline(always)]
pub fn port(ifindex: u32) -> Option<&'static Port> {
    // SAFETY: the agent replaces an element as a whole, and a preallocated one that is reused
    // under a reader is another port's: what is read from it is counted wrongly at worst.
    unsafe { PORTS.get(ifindex) }
}

/// The attachment of a port, TPID and VLAN id.
#[inline(always)]
pub fn attachment(key: &AttachmentKey) -> Option<&'static Attachment> {
    // SAFETY: as above; attachments change only while a switch is set up.
    unsafe { ATTACHMENTS.get(key) }
}

/// How frames leave for a site.
#[inline(always)]
pub fn site(site: u32) -> Option<&'static Leg> {
    SITES.get(site).filter(|leg| leg.max_frame != 0)
}

/// A network.
#[inline(always)]
pub fn network(network: u32) -> Option<&'static Network> {
    NETWORKS.get(network)
}

/// When the next frame to an unknown station of a network is due.
#[inline(always)]
pub fn flood_due(network: u32) -> Option<Shared> {
    // SAFETY: an element of an array map, which only `rate` writes.
    FLOOD_DUE
        .get_ptr_mut(network)
        .map(|at| unsafe { Shared::new(at) })
}

/// When the next announcement of a site is due.
#[inline(always)]
pub fn announce_due(site: u32) -> Option<Shared> {
    // SAFETY: as above.
    ANNOUNCE_DUE
        .get_ptr_mut(site)
        .map(|at| unsafe { Shared::new(at) })
}

/// Where an address is.
#[inline(always)]
pub fn binding(key: &BindingKey) -> Option<&'static Binding> {
    // SAFETY: an update swaps in another element. The old one stays readable for this program's
    // run unless the agent reuses it meanwhile, which takes a whole number of further updates.
    unsafe { BINDINGS.get(key) }
}

/// The traffic counters of a binding on this CPU.
#[inline(always)]
pub fn flow_traffic(slot: u32) -> Option<*mut FlowTraffic> {
    FLOW_TRAFFIC.get_ptr_mut(slot)
}

/// How many frames have queued up under a slot.
#[inline(always)]
pub fn queued(slot: u32) -> Option<Shared> {
    // SAFETY: an element of an array map, which only `miss` writes.
    QUEUED
        .get_ptr_mut(slot)
        .map(|at| unsafe { Shared::new(at) })
}

/// Traffic counters of an attachment on this CPU.
#[inline(always)]
pub fn traffic(index: u32) -> Option<*mut Traffic> {
    TRAFFIC.get_ptr_mut(index)
}

/// How often the program of a port has begun or ended on this CPU.
#[inline(always)]
pub fn runs() -> Option<*mut u64> {
    RUNS.get_ptr_mut(0)
}

/// The counter of a drop reason on this CPU.
#[inline(always)]
pub fn drops(reason: Drop) -> Option<*mut u64> {
    DROPS.get_ptr_mut(reason as u32)
}

/// A counter on this CPU.
#[inline(always)]
pub fn counter(counter: Counter) -> Option<*mut u64> {
    COUNTERS.get_ptr_mut(counter as u32)
}

/// This CPU's redirects.
#[inline(always)]
pub fn redirects() -> Option<*mut Redirects> {
    REDIRECTS.get_ptr_mut(0)
}

/// The kernel's number of the map that frames are redirected by; 0 before the agent has written it.
#[inline(always)]
pub fn egress_id() -> u32 {
    META.get(0).map_or(0, |meta| meta.egress_map)
}

/// The miss ring.
#[inline(always)]
pub fn misses() -> &'static RingBuf {
    &MISSES
}

/// When the agent last said that it lives.
#[inline(always)]
pub fn heartbeat_ns() -> u64 {
    HEARTBEAT.get(0).copied().unwrap_or(0)
}

/// Sends the frame out of a port.
#[inline(always)]
pub fn redirect(port: u32) -> u32 {
    EGRESS
        .redirect(port, u64::from(XDP_DROP))
        .unwrap_or(XDP_DROP)
}
