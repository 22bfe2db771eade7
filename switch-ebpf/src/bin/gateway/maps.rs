//! The gateway's own maps, behind plain functions. Who writes each is said where its value is defined, in
//! `switch_ebpf::abi`.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{Array, HashMap, RingBuf},
};
use switch_ebpf::{
    abi::{
        AttachmentKey,
        gateway::{
            Crossing, MAX_ADDRESSES, MAX_STATIONS, RING, Station, StationAddress, StationState,
        },
    },
    xdp::Shared,
};

#[map]
static CROSSINGS: HashMap<AttachmentKey, Crossing> = HashMap::pinned(2, 0);
#[map]
static STATIONS: HashMap<Station, StationState> = HashMap::pinned(MAX_STATIONS, 0);
#[map]
static ADDRESSES: HashMap<StationAddress, u64> = HashMap::pinned(MAX_ADDRESSES, 0);
#[map]
static LAN_DUE: Array<u64> = Array::pinned(1, 0);
#[map]
static NOTICES: RingBuf = RingBuf::pinned(RING, 0);

/// What becomes of the frames of an attachment.
#[inline(always)]
pub fn crossing(key: &AttachmentKey) -> Option<&'static Crossing> {
    // SAFETY: the agent replaces an element as a whole, and only when a port is plugged in.
    unsafe { CROSSINGS.get(key) }
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
