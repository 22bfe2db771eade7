//! The switch's own maps, behind plain functions. Who writes each is said where its value is defined, in
//! `switch_ebpf::abi`.

use aya_ebpf::{
    bindings::{BPF_EXIST, BPF_F_MMAPABLE},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, lpm_trie},
};
pub use switch_ebpf::xdp::maps::{cpu, redirect, traffic};
use switch_ebpf::{
    abi::{
        self, AllowKey, Attachment, AttachmentKey, Binding, BindingKey, DEFAULT_MAX_FLOWS,
        FlowTraffic, Gateway, LEFT_CLAIMED, Label, Leg, Limited, MAX_ALLOWED, MAX_GATEWAYS,
        MAX_NETWORKS, MAX_SITES, MAX_SOURCES, Network, PHASE_NEWCOMER, Place, Queued, RING,
        SitePolicy, SourceKey, shortcut::Seed,
    },
    limit::Limit,
    xdp::{Shared, within},
};

#[map]
static ATTACHMENTS: HashMap<AttachmentKey, Attachment> =
    HashMap::pinned(MAX_SITES + MAX_NETWORKS, 0);
#[map]
static PLACES: Array<Place> = Array::pinned(abi::PLACES, 0);
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
static FLOW_TRAFFIC: Array<FlowTraffic> = Array::pinned(DEFAULT_MAX_FLOWS, BPF_F_MMAPABLE);
/// In the agent's memory too, which looks at it often.
#[map]
static QUEUED: Array<Queued> = Array::pinned(DEFAULT_MAX_FLOWS, BPF_F_MMAPABLE);
#[map]
static MISSES: RingBuf = RingBuf::pinned(RING, 0);
#[map]
static NEWCOMERS: RingBuf = RingBuf::pinned(RING, 0);
#[map]
static HEARTBEAT: Array<u64> = Array::pinned(1, 0);
#[map]
static ASLEEP: Array<u64> = Array::pinned(1, BPF_F_MMAPABLE);

#[map]
static SITE_POLICIES: Array<SitePolicy> = Array::pinned(MAX_SITES, 0);
#[map]
static ALLOWED: LpmTrie<AllowKey, u32> = LpmTrie::pinned(MAX_ALLOWED, 0);
#[map]
static REFUSED: LruHashMap<SourceKey, u64> = LruHashMap::pinned(MAX_SOURCES, 0);
#[map]
static SOURCE_DUE: LruHashMap<SourceKey, u64> = LruHashMap::pinned(MAX_SOURCES, 0);
#[map]
static NEWCOMER_DUE: Array<u64> = Array::pinned(MAX_SITES, 0);
#[map]
static SAMPLE_DUE: Array<u64> = Array::pinned(MAX_SITES, 0);
#[map]
static LIMITED: PerCpuArray<u64> = PerCpuArray::pinned(MAX_SITES * Limited::ENTRIES, 0);

// The agent's own state. No program reads it; it stands here so that there is one list of maps.
#[map]
static SHORTCUT_SEED: Array<Seed> = Array::pinned(1, 0);
#[map]
static AGENT_FLOW_TRAFFIC: Array<FlowTraffic> = Array::pinned(DEFAULT_MAX_FLOWS, BPF_F_MMAPABLE);
#[map]
static GATEWAYS: HashMap<u32, Gateway> = HashMap::pinned(MAX_GATEWAYS, 0);
#[map]
static SITE_NAMES: Array<Label> = Array::pinned(MAX_SITES, 0);
#[map]
static NETWORK_NAMES: Array<Label> = Array::pinned(MAX_NETWORKS, 0);

/// The attachment of a port, TPID and VLAN id.
#[inline(always)]
pub fn attachment(key: &AttachmentKey) -> Option<&'static Attachment> {
    let place = PLACES.get(key.place())?;
    if place.key == *key {
        return Some(&place.attachment);
    }
    if place.key.ifindex == 0 {
        return None;
    }
    // SAFETY: the agent replaces an element as a whole, and only while a switch is set up.
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

/// When the next newcomer's frame of a site is due.
#[inline(always)]
pub fn newcomer_due(site: u32) -> Option<Shared> {
    // SAFETY: as above.
    NEWCOMER_DUE
        .get_ptr_mut(site)
        .map(|at| unsafe { Shared::new(at) })
}

/// When the next sample of a site's unauthorised frames is due.
#[inline(always)]
pub fn sample_due(site: u32) -> Option<Shared> {
    // SAFETY: as above.
    SAMPLE_DUE
        .get_ptr_mut(site)
        .map(|at| unsafe { Shared::new(at) })
}

/// Whether one more frame of a newcomer is within its limit.
#[inline(always)]
pub fn source_within(key: &SourceKey, limit: Limit) -> bool {
    match SOURCE_DUE.get_ptr_mut(key) {
        // SAFETY: an aligned `u64`, which only `rate` writes. If the element is another's by now,
        // that one's limit is off by a frame.
        Some(due) => within(Some(unsafe { Shared::new(due) }), limit),
        None => {
            // SAFETY: a helper without arguments.
            let due = unsafe { bpf_ktime_get_ns() }.saturating_add(limit.interval_ns);
            // If there is no room, the newcomer has its first frame once more.
            let _ = SOURCE_DUE.insert(key, &due, 0);
            true
        }
    }
}

/// What the agent has said of a site.
#[inline(always)]
pub fn site_policy(site: u32) -> Option<&'static SitePolicy> {
    SITE_POLICIES.get(site)
}

/// Whether an address is within the prefixes of a site.
#[inline(always)]
pub fn allows(key: &AllowKey) -> bool {
    ALLOWED
        .get(lpm_trie::Key::new(AllowKey::BITS, *key))
        .is_some()
}

/// Until when an address is refused at a site; 0 if it is not.
#[inline(always)]
pub fn refused_until_ns(key: &SourceKey) -> u64 {
    // SAFETY: a `u64`, which the agent replaces as a whole.
    unsafe { REFUSED.get(key) }.copied().unwrap_or(0)
}

/// The counter of a site's limit on this CPU.
#[inline(always)]
pub fn limited(site: u32, limit: Limited) -> Option<*mut u64> {
    LIMITED.get_ptr_mut(abi::limited(site, limit))
}

/// A binding that no other CPU may replace.
pub struct Claimed {
    /// The binding.
    pub binding: &'static Binding,
    left: u64,
}

/// Claims a binding for this CPU; nothing if another one has, or has replaced it.
#[inline(always)]
pub fn claim(key: &BindingKey, binding: &'static Binding) -> Option<Claimed> {
    // SAFETY: a helper without arguments.
    let mine = LEFT_CLAIMED + u64::from(unsafe { bpf_get_smp_processor_id() });
    let shared = shared_left(binding);
    let left = shared.load();
    if Binding::is_claimed(left) || !shared.replace(left, mine) {
        return None;
    }
    // It may have been replaced since it was looked up, and its memory may hold another one. What
    // is found now and is mine stays.
    match self::binding(key) {
        Some(current) if shared_left(current).load() == mine => Some(Claimed {
            binding: current,
            left,
        }),
        _ => {
            shared.replace(mine, left);
            None
        }
    }
}

impl Claimed {
    /// Leaves the binding as it is.
    #[inline(always)]
    pub fn give_back(self) {
        let shared = shared_left(self.binding);
        shared.replace(shared.load(), self.left);
    }
}

#[inline(always)]
fn shared_left(binding: &'static Binding) -> Shared {
    // SAFETY: an aligned `u64` in an element of the map, which programs change by this only.
    unsafe { Shared::new((&raw const binding.left).cast_mut()) }
}

/// Puts a binding in the place of the one there is.
#[inline(always)]
pub fn replace_binding(key: &BindingKey, binding: &Binding) {
    // It fails only where the agent has just removed the binding, and then it is to stay so.
    let _ = BINDINGS.insert(key, binding, BPF_EXIST.into());
}

/// Where an address is.
#[inline(always)]
pub fn binding(key: &BindingKey) -> Option<&'static Binding> {
    // SAFETY: an update swaps in another element; the old one stays mapped. The kernel reuses it for
    // the update after the next on the same CPU (`extra_elems` in kernel/bpf/hashtab.c): what is needed
    // of a binding is read right after this, in less time than two system calls take.
    unsafe { BINDINGS.get(key) }
}

/// The traffic counters of a binding, of all CPUs.
#[inline(always)]
pub fn flow_traffic(slot: u32) -> Option<*mut FlowTraffic> {
    FLOW_TRAFFIC.get_ptr_mut(slot)
}

/// How many frames have queued up under a slot, in the ring of a phase.
#[inline(always)]
pub fn queued(slot: u32, phase: u8) -> Option<Shared> {
    let at = QUEUED.get_ptr_mut(slot)?;
    // SAFETY: `at` points to an element of an array map, which only `miss` writes.
    unsafe {
        Some(Shared::new(if phase == PHASE_NEWCOMER {
            &raw mut (*at).newcomers
        } else {
            &raw mut (*at).misses
        }))
    }
}

/// The ring of bound addresses and of announcements.
#[inline(always)]
pub fn misses() -> &'static RingBuf {
    &MISSES
}

/// The ring of addresses that are not bound, or not for long, and of frames for every site.
#[inline(always)]
pub fn newcomers() -> &'static RingBuf {
    &NEWCOMERS
}

/// When the agent last said that it lives.
#[inline(always)]
pub fn heartbeat_ns() -> u64 {
    HEARTBEAT.get(0).copied().unwrap_or(0)
}

/// Whether the agent sleeps, or is about to.
#[inline(always)]
pub fn asleep() -> Option<Shared> {
    // SAFETY: an element of an array map, which both sides write atomically.
    ASLEEP.get_ptr_mut(0).map(|at| unsafe { Shared::new(at) })
}
