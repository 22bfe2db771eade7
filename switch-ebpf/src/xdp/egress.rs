//! What becomes of a frame after the program has redirected it: the kernel tells it in two
//! tracepoints only (include/trace/events/xdp.h). They are told of every redirect of the machine, so
//! ours have to be told apart.
//!
//! A driver's receive loop ends with a flush, on the same CPU, of all that its program redirected.
//! So what is flushed while frames of ours are outstanding on this CPU is ours.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use super::{count, maps};
use crate::abi::{Cpu, Drop};

/// A frame was redirected, by a program that runs in the driver.
#[inline(always)]
pub fn handed_over(cpu: *mut Cpu) {
    // SAFETY: `cpu` points to this CPU's element, which programs on other CPUs do not write, and those
    // on this one do not interrupt each other.
    unsafe { (*cpu).handed += 1 };
}

/// Takes up to `frames` frames for answered. How many were outstanding, at most that.
#[inline(always)]
fn answered(cpu: *mut Cpu, frames: u64) -> u64 {
    // SAFETY: as above.
    let (handed, answered) = unsafe { ((*cpu).handed, (*cpu).answered) };
    let ours = frames.min(handed.saturating_sub(answered));
    // SAFETY: as above.
    unsafe { (*cpu).answered = answered + ours };
    ours
}

/// The programs at the tracepoints. Nobody calls them.
mod programs {
    use super::*;

    /// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`: a port's driver was given a bulk of frames
    /// and took some of them.
    #[raw_tracepoint(tracepoint = "xdp_devmap_xmit")]
    pub fn egress_flushed(ctx: RawTracePointContext) -> i32 {
        let (sent, dropped) = (ctx.arg::<i32>(2) as u32, ctx.arg::<i32>(3) as u32);
        if let Some(cpu) = maps::cpu() {
            let ours = answered(cpu, u64::from(sent) + u64::from(dropped));
            if ours > 0 && dropped > 0 {
                count::drops(Drop::EgressFull, u64::from(dropped));
            }
        }
        0
    }

    /// `xdp_redirect_err(dev, xdp, tgt, err, map_type, map_id, index)`: a frame never got as far as that,
    /// as when the port is down.
    #[raw_tracepoint(tracepoint = "xdp_redirect_err")]
    pub fn egress_refused(ctx: RawTracePointContext) -> i32 {
        let map_id = ctx.arg::<u32>(5);
        if map_id == maps::egress_id()
            && let Some(cpu) = maps::cpu()
        {
            answered(cpu, 1);
            count::drops(Drop::EgressRefused, 1);
        }
        0
    }
}
