//! Handing a whole frame to the agent.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, xdp_md},
    helpers::{bpf_ktime_get_ns, generated::bpf_xdp_load_bytes},
    programs::XdpContext,
};
use switch_ebpf::{
    abi::{
        ANNOUNCE_LIMIT, Binding, Counter, Drop, KIND_ANSWER, KIND_FLOOD, KIND_UNDECIDED, Limited,
        MISS_RING, MissHeader,
    },
    xdp::{Shared, within},
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

/// Bytes of the ring that wait for the agent.
#[inline(always)]
fn used() -> u64 {
    maps::misses().query(BPF_RB_AVAIL_DATA.into())
}

/// Whether there is room in the ring for newcomers and for frames that queue up. An eighth is kept for
/// moves of addresses that are bound: neither a storm nor one busy address must stop those.
#[inline(always)]
pub fn has_room() -> bool {
    used() < u64::from(MISS_RING / 8 * 7)
}

/// Whether an agent says that it lives.
#[inline(always)]
pub fn agent_is_there() -> bool {
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    now_ns.saturating_sub(maps::heartbeat_ns()) < AGENT_IS_GONE_NS
}

/// Hands the agent a frame that the datapath cannot decide on.
#[inline(always)]
pub fn to_agent(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<(), Drop> {
    if submit(ctx.ctx, &header(ingress, KIND_UNDECIDED), Shared::none()) {
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
    if !submit(ctx.ctx, &header, Shared::none()) {
        count::counter(Counter::RecordsLost);
    }
}

#[inline(always)]
pub fn lost(ingress: &Ingress<'_>) -> Drop {
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
    if submit(ctx.ctx, &header(ingress, kind), Shared::none()) {
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
    // Half of the ring is kept free for misses: a storm of broadcasts must not stop the learning.
    let room = used() < u64::from(MISS_RING / 2);
    if room && submit(ctx.ctx, &header(ingress, KIND_FLOOD), Shared::none()) {
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
    slot: u32,
    queued: Shared,
) -> Queued {
    let header = MissHeader {
        slot,
        ..header(ingress, kind)
    };
    if agent_is_there() && has_room() && submit(ctx.ctx, &header, queued) {
        count::counter(Counter::Queued);
        Queued::Taken
    } else {
        Queued::NoRoom
    }
}

/// Puts header and frame into the ring, in a record of the smallest class that holds them: the
/// verifier wants to know the size of a record beforehand.
///
/// A function of its own, as the stack of the one that decides is small. (`queued` is no `Option`,
/// whose two registers the verifier wants set even where there is nothing in the second.)
#[inline(never)]
fn submit(ctx: *mut xdp_md, header: &MissHeader, queued: Shared) -> bool {
    match header.length {
        0..=128 => put::<128>(ctx, header, queued),
        129..=576 => put::<576>(ctx, header, queued),
        577..=1536 => put::<1536>(ctx, header, queued),
        1537..=4096 => put::<4096>(ctx, header, queued),
        4097..=10240 => put::<10240>(ctx, header, queued),
        10241..=65600 => put::<65600>(ctx, header, queued),
        _ => false,
    }
}

#[inline(always)]
fn put<const N: usize>(ctx: *mut xdp_md, header: &MissHeader, queued: Shared) -> bool {
    let Some(mut record) = maps::misses().reserve::<Record<N>>(0) else {
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
    let length = header.length;
    // SAFETY: `frame` has room for `N` bytes, and `length` is no more.
    let filled = length > 0
        && length <= N as u32
        && unsafe { bpf_xdp_load_bytes(ctx, 0, (&raw mut (*at).frame).cast(), length) } == 0;
    if !filled {
        // Cannot be: the length is the frame's. The agent skips a record without a frame.
        // SAFETY: as above.
        unsafe { (&raw mut (*at).header.length).write(0) };
    }
    record.submit(0);
    filled
}
