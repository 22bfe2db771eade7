//! The maps, behind plain functions. Who writes each is said where its value is defined, in
//! `switch_ebpf::abi`.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, xdp_action::XDP_DROP},
    macros::map,
    maps::{Array, DevMap, HashMap, PerCpuArray, RingBuf},
};
use switch_ebpf::{
    abi::{
        AttachmentKey, Drop, Forwarded, Label, Meta, Port, Redirects, Traffic,
        gateway::{
            Counter, Crossing, MAX_ADDRESSES, MAX_PORTS, MAX_STATIONS, RING, Station,
            StationAddress, StationState, agent, traffic,
        },
    },
    xdp::Shared,
};

#[map]
static PORTS: HashMap<u32, Port> = HashMap::pinned(MAX_PORTS, 0);
#[map]
static EGRESS: DevMap = DevMap::pinned(MAX_PORTS, 0);
#[map]
static CROSSINGS: HashMap<AttachmentKey, Crossing> = HashMap::pinned(2, 0);
#[map]
static TRAFFIC: PerCpuArray<Traffic> = PerCpuArray::pinned(traffic::ENTRIES, 0);
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::pinned(Drop::ENTRIES, 0);
#[map]
static REDIRECTS: PerCpuArray<Redirects> = PerCpuArray::pinned(1, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::pinned(Counter::ENTRIES, 0);
#[map]
static STATIONS: HashMap<Station, StationState> = HashMap::pinned(MAX_STATIONS, 0);
#[map]
static ADDRESSES: HashMap<StationAddress, u64> = HashMap::pinned(MAX_ADDRESSES, 0);
#[map]
static LAN_DUE: Array<u64> = Array::pinned(1, 0);
#[map]
static NOTICES: RingBuf = RingBuf::pinned(RING, 0);
#[map]
static META: Array<Meta> = Array::pinned(1, 0);

// The agent's own state. No program reads it; it stands here so that there is one list of maps.
#[map]
static AGENT: Array<u64> = Array::pinned(agent::ENTRIES, 0);
#[map]
static AGENT_TRAFFIC: Array<Forwarded> = Array::pinned(traffic::ENTRIES, 0);
#[map]
static PORT_NAMES: Array<Label> = Array::pinned(MAX_PORTS, 0);

/// The port of an ifindex.
#[inline(always)]
pub fn port(ifindex: u32) -> Option<&'static Port> {
    // SAFETY: the agent replaces an element as a whole, and only when a port is plugged in.
    unsafe { PORTS.get(ifindex) }
}

/// What becomes of the frames of an attachment.
#[inline(always)]
pub fn crossing(key: &AttachmentKey) -> Option<&'static Crossing> {
    // SAFETY: as above.
    unsafe { CROSSINGS.get(key) }
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

/// What is known of a station, which is made where there is none. Nothing where there is no room.
#[inline(always)]
pub fn station(station: &Station) -> Option<*mut StationState> {
    let found = STATIONS.get_ptr_mut(station);
    if found.is_some() {
        return found;
    }
    let new = StationState {
        due_ns: 0,
        addresses: 0,
    };
    // Whether it was this CPU or another that made it does not matter.
    let _ = STATIONS.insert(station, new, BPF_NOEXIST.into());
    STATIONS.get_ptr_mut(station)
}

/// When an address of a station was last seen; nothing where it is not known.
#[inline(always)]
pub fn seen(address: &StationAddress) -> Option<*mut u64> {
    ADDRESSES.get_ptr_mut(address)
}

/// Adds an address of a station; false where there is no room, or another CPU was faster.
#[inline(always)]
pub fn add_address(address: &StationAddress, now_ns: u64) -> bool {
    ADDRESSES
        .insert(address, now_ns, BPF_NOEXIST.into())
        .is_ok()
}

/// When the next announcement of anybody is due.
#[inline(always)]
pub fn lan_due() -> Option<Shared> {
    // SAFETY: an element of an array map, which only `listen` writes, and atomically.
    LAN_DUE.get_ptr_mut(0).map(|at| unsafe { Shared::new(at) })
}

/// The ring of notices.
#[inline(always)]
pub fn notices() -> &'static RingBuf {
    &NOTICES
}

/// Sends the frame out of a port.
#[inline(always)]
pub fn redirect(port: u32) -> u32 {
    EGRESS
        .redirect(port, u64::from(XDP_DROP))
        .unwrap_or(XDP_DROP)
}
