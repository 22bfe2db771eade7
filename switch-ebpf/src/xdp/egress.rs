//! What becomes of a frame after a program has redirected it: the kernel tells it in two tracepoints
//! only (include/trace/events/xdp.h). They are told of every redirect of the machine, so ours have to
//! be told apart.
//!
//! A driver's receive loop ends with a flush, on the same CPU, of all that its program redirected.
//! So what is flushed while frames of ours are outstanding on this CPU is ours.

use aya_ebpf::programs::RawTracePointContext;

use crate::abi::Redirects;

/// A frame was redirected, by a program that runs in the driver.
///
/// # Safety
/// `redirects` must point to this CPU's element.
#[inline(always)]
pub unsafe fn handed_over(redirects: *mut Redirects) {
    // SAFETY: programs on other CPUs do not write it, and those on this one do not interrupt each
    // other.
    unsafe { (*redirects).handed += 1 };
}

/// Takes up to `frames` frames for answered. How many were outstanding, at most that.
///
/// # Safety
/// As [`handed_over`].
#[inline(always)]
unsafe fn answered(redirects: *mut Redirects, frames: u64) -> u64 {
    // SAFETY: as above.
    let Redirects { handed, answered } = unsafe { *redirects };
    let ours = frames.min(handed.saturating_sub(answered));
    // SAFETY: as above.
    unsafe { (*redirects).answered = answered + ours };
    ours
}

/// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`: a port's driver was given a bulk of frames
/// and took some of them. How many of ours it did not take.
///
/// # Safety
/// As [`handed_over`].
#[inline(always)]
pub unsafe fn flushed(ctx: &RawTracePointContext, redirects: *mut Redirects) -> u64 {
    let (sent, dropped) = (ctx.arg::<i32>(2) as u32, ctx.arg::<i32>(3) as u32);
    // SAFETY: the caller's.
    let ours = unsafe { answered(redirects, u64::from(sent) + u64::from(dropped)) };
    if ours > 0 { u64::from(dropped) } else { 0 }
}

/// `xdp_redirect_err(dev, xdp, tgt, err, map_type, map_id, index)`: a frame never got as far as that,
/// as when the port is down. Whether it was redirected by the map of this id.
///
/// # Safety
/// As [`handed_over`].
#[inline(always)]
pub unsafe fn refused(
    ctx: &RawTracePointContext,
    redirects: *mut Redirects,
    egress_map: u32,
) -> bool {
    let ours = ctx.arg::<u32>(5) == egress_map;
    if ours {
        // SAFETY: the caller's.
        unsafe { answered(redirects, 1) };
    }
    ours
}
