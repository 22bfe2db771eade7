//! Handing a whole frame to the agent.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, xdp_md},
    helpers::bpf_ktime_get_ns,
    maps::RingBuf,
    programs::XdpContext,
};
use switch_ebpf::{
    abi::{
        ANNOUNCE_LIMIT, Binding, Counter, Drop, KIND_ANSWER, KIND_FLOOD, KIND_HELD, KIND_MOVED,
        KIND_UNDECIDED, Limited, MissHeader, PHASE_NEWCOMER, PHASE_SETTLED, RING,
    },
    xdp::{Shared, copy, within},
};

use crate::{Ingress, count, maps};

/// The agent says every quarter of a second that it lives. After this long it does not.
const AGENT_IS_GONE_NS: u64 = 1_000_000_000;

/// What became of a frame that has to wait behind others.
pub enum Queued {
    /// The agent has it.
    Taken,
    /// The agent cannot take it: the ring is full, or nobody reads it.
    NoRoom,
}

/// A record with room for `N` bytes of frame.
#[repr(C)]
struct Record<const N: usize> {
    header: MissHeader,
    frame: [u8; N],
}

#[inline(always)]
fn header(ingress: &Ingress<'_>, kind: u32) -> MissHeader {
    MissHeader {
        // SAFETY: a helper without arguments.
        time_ns: unsafe { bpf_ktime_get_ns() },
        number: 0,
        kind,
        network: ingress.attachment.network,
        site: ingress.attachment.site,
        slot: 0,
        length: ingress.length as u32,
        own_tag: ingress.own_tag as u32,
    }
}

/// Bytes of a ring that wait for the agent.
#[inline(always)]
fn used(ring: &RingBuf) -> u64 {
    ring.query(BPF_RB_AVAIL_DATA.into())
}

/// Whether there is room in a ring for newcomers and for frames that queue up. An eighth is kept for
/// moves of addresses that are bound: neither a storm nor one busy address must stop those.
#[inline(always)]
fn has_room(ring: &RingBuf) -> bool {
    used(ring) < u64::from(RING / 8 * 7)
}

/// How to submit a record that has its place in a ring. To wake the agent takes longer than a move, so it
/// is done only where it sleeps, and by the first record of those that it sleeps through.
///
/// What the datapath has done by itself can wait until the agent wakes for another reason, which it
/// does ten times a second; unless so much comes that the ring might be full by then.
#[inline(always)]
fn wake_up(ring: &RingBuf, kind: u32) -> u64 {
    let can_wait = matches!(kind, KIND_MOVED | KIND_HELD) && used(ring) < u64::from(RING / 4);
    if !can_wait && maps::asleep().is_some_and(|asleep| asleep.replace(1, 0)) {
        // The kernel wakes by itself only where the record before this one was read.
        BPF_RB_FORCE_WAKEUP.into()
    } else {
        BPF_RB_NO_WAKEUP.into()
    }
}

/// The ring in which frames of a bound address queue up: behind those from before it was bound, or
/// past them.
#[inline(always)]
fn ring_of(binding: &Binding) -> &'static RingBuf {
    if binding.phase == PHASE_NEWCOMER {
        maps::newcomers()
    } else {
        maps::misses()
    }
}

/// The numbers of the queue that a frame of a bound address has to join; none where nothing of the
/// address is on its way through the agent.
#[inline(always)]
pub fn queue_of(binding: &Binding) -> Shared {
    if binding.phase != PHASE_SETTLED
        && let Some(queued) = maps::queued(binding.slot, binding.phase)
        && binding.left != queued.load()
    {
        return queued;
    }
    Shared::none()
}

/// Whether an agent says that it lives.
#[inline(always)]
pub fn agent_is_there() -> bool {
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    now_ns.saturating_sub(maps::heartbeat_ns()) < AGENT_IS_GONE_NS
}

/// Hands the agent a frame from an address that is not bound.
#[inline(always)]
pub fn newcomer(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<(), Drop> {
    let ring = maps::newcomers();
    if !has_room(ring) {
        return Err(lost(ingress));
    }
    undecided(ctx, ingress, ring, 0, Shared::none())
}

/// Hands the agent a frame from a bound address that speaks for a move.
#[inline(always)]
pub fn claim(ctx: &XdpContext, ingress: &Ingress<'_>, binding: &Binding) -> Result<(), Drop> {
    let mut queued = Shared::none();
    if binding.phase == PHASE_NEWCOMER {
        // Frames of the same site from before the address was bound may be in that ring, and the
        // handover must not end before this one has left it.
        queued = queue_of(binding);
    }
    let ring = if queued.is_none() {
        maps::misses()
    } else {
        maps::newcomers()
    };
    undecided(ctx, ingress, ring, binding.slot, queued)
}

#[inline(always)]
fn undecided(
    ctx: &XdpContext,
    ingress: &Ingress<'_>,
    ring: &'static RingBuf,
    slot: u32,
    queued: Shared,
) -> Result<(), Drop> {
    let header = MissHeader {
        slot,
        ..header(ingress, KIND_UNDECIDED)
    };
    if submit(ring, ctx.ctx, &header, queued) {
        count::counter(Counter::Misses);
        Ok(())
    } else {
        Err(lost(ingress))
    }
}

/// Leaves a record of what the datapath has made of a binding by itself.
#[inline(always)]
pub fn learned(ctx: &XdpContext, ingress: &Ingress<'_>, kind: u32, before: &Binding) {
    let header = MissHeader {
        number: u64::from(before.site),
        slot: before.slot,
        ..header(ingress, kind)
    };
    if !submit(maps::misses(), ctx.ctx, &header, Shared::none()) {
        count::counter(Counter::RecordsLost);
    }
}

#[inline(always)]
fn lost(ingress: &Ingress<'_>) -> Drop {
    count::limited(ingress.attachment.site, Limited::MissLost);
    Drop::MissLost
}

/// Hands the agent a RARP request, a learning packet or an answer, within the site's limit.
#[inline(always)]
pub fn announcement(ctx: &XdpContext, ingress: &Ingress<'_>, kind: u32) -> Result<(), Drop> {
    if !within(maps::announce_due(ingress.attachment.site), ANNOUNCE_LIMIT) {
        count::limited(ingress.attachment.site, Limited::AnnounceRate);
        return Err(Drop::AnnounceRate);
    }
    let header = header(ingress, kind);
    if submit(maps::misses(), ctx.ctx, &header, Shared::none()) {
        Ok(())
    } else {
        Err(lost(ingress))
    }
}

/// Hands the agent a copy of a frame to the port itself, which may answer what the agent has asked.
#[inline(always)]
pub fn answer(ctx: &XdpContext, ingress: &Ingress<'_>) {
    // Nothing is lost with the copy but the answer to one of three questions.
    let _ = announcement(ctx, ingress, KIND_ANSWER);
}

/// Hands the agent a frame that it shall send to every site.
#[inline(always)]
pub fn to_every_site(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<(), Drop> {
    // Half of the ring is kept for the newcomers themselves: a storm of broadcasts must not stop the learning.
    let ring = maps::newcomers();
    let room = used(ring) < u64::from(RING / 2);
    if room && submit(ring, ctx.ctx, &header(ingress, KIND_FLOOD), Shared::none()) {
        count::counter(Counter::Flooded);
        Ok(())
    } else {
        Err(Drop::FloodLost)
    }
}

/// Hands the frame to the agent behind others of its address, and counts it as such in `queued`.
#[inline(always)]
pub fn behind_others(
    ctx: &XdpContext,
    ingress: &Ingress<'_>,
    kind: u32,
    binding: &Binding,
    queued: Shared,
) -> Queued {
    let header = MissHeader {
        slot: binding.slot,
        ..header(ingress, kind)
    };
    let ring = ring_of(binding);
    if agent_is_there() && has_room(ring) && submit(ring, ctx.ctx, &header, queued) {
        count::counter(Counter::Queued);
        Queued::Taken
    } else {
        Queued::NoRoom
    }
}

/// Puts header and frame into a ring, in a record of the smallest class that holds them: the
/// verifier wants to know the size of a record beforehand.
///
/// A function of its own, as the stack of the one that decides is small. (`queued` is no `Option`,
/// whose two registers the verifier wants set even where there is nothing in the second.)
#[inline(never)]
fn submit(ring: &'static RingBuf, ctx: *mut xdp_md, header: &MissHeader, queued: Shared) -> bool {
    match header.length {
        0..=128 => put::<128>(ring, ctx, header, queued),
        129..=576 => put::<576>(ring, ctx, header, queued),
        577..=1536 => put::<1536>(ring, ctx, header, queued),
        1537..=4096 => put::<4096>(ring, ctx, header, queued),
        4097..=10240 => put::<10240>(ring, ctx, header, queued),
        10241..=65600 => put::<65600>(ring, ctx, header, queued),
        _ => false,
    }
}

#[inline(always)]
fn put<const N: usize>(
    ring: &'static RingBuf,
    ctx: *mut xdp_md,
    header: &MissHeader,
    queued: Shared,
) -> bool {
    let Some(mut record) = ring.reserve::<Record<N>>(0) else {
        return false;
    };
    let at = record.as_mut_ptr();
    // SAFETY: `at` points to a whole record.
    unsafe { (&raw mut (*at).header).write(*header) };
    if !queued.is_none() {
        // Only now, when the record has its place: what is counted here is in the ring.
        // SAFETY: as above.
        unsafe { (&raw mut (*at).header.number).write(queued.increment()) };
    }
    // SAFETY: as above.
    let filled = unsafe { copy(ctx, &raw mut (*at).frame, header.length) };
    if !filled {
        // Cannot be: the length is the frame's. The agent skips a record without a frame.
        // SAFETY: as above.
        unsafe { (&raw mut (*at).header.length).write(0) };
    }
    record.submit(wake_up(ring, header.kind));
    filled
}
