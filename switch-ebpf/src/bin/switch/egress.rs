//! Hearing what became of redirected frames.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use switch_ebpf::{abi::Drop, xdp::egress};

use crate::{count, maps};

/// A frame was redirected, by a program that runs in the driver.
#[inline(always)]
pub fn handed_over() {
    if let Some(redirects) = maps::redirects() {
        // SAFETY: `redirects` points to this CPU's element.
        unsafe { egress::handed_over(redirects) };
    }
}

/// A port's driver was given a bulk of frames.
#[raw_tracepoint(tracepoint = "xdp_devmap_xmit")]
pub fn egress_flushed(ctx: RawTracePointContext) -> i32 {
    if let Some(redirects) = maps::redirects() {
        // SAFETY: as above.
        let dropped = unsafe { egress::flushed(&ctx, redirects) };
        if dropped > 0 {
            count::drops(Drop::EgressFull, dropped);
        }
    }
    0
}

/// A frame did not get as far as that.
#[raw_tracepoint(tracepoint = "xdp_redirect_err")]
pub fn egress_refused(ctx: RawTracePointContext) -> i32 {
    if let Some(redirects) = maps::redirects() {
        // SAFETY: as above.
        if unsafe { egress::refused(&ctx, redirects, maps::egress_id()) } {
            count::drops(Drop::EgressRefused, 1);
        }
    }
    0
}
