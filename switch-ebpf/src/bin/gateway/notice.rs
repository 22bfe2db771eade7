//! Notices to the agent.

use aya_ebpf::bindings::xdp_md;
use switch_ebpf::{
    abi::gateway::{Counter, MAX_FRAME, Notice},
    xdp::{copy, count},
};

use crate::maps;

/// A notice with room for a frame.
#[repr(C)]
struct Record {
    notice: Notice,
    frame: [u8; MAX_FRAME],
}

/// Sends a notice if `if_so` says so once there is room for it. Whether it was sent.
#[inline(always)]
pub fn alone(notice: &Notice, if_so: impl FnOnce() -> bool) -> bool {
    let Some(mut record) = maps::notices().reserve::<Notice>(0) else {
        count::counter(Counter::NoticeLost as u32);
        return false;
    };
    record.write(*notice);
    if if_so() {
        record.submit(0);
        true
    } else {
        count::counter(Counter::StationsFull as u32);
        record.discard(0);
        false
    }
}

/// Sends a notice with its frame. Whether there was room for it.
///
/// A function of its own, so that the length is checked where it is used: the verifier cannot tell
/// otherwise.
#[inline(never)]
pub fn with_frame(ctx: *mut xdp_md, notice: &Notice) -> bool {
    let Some(mut record) = maps::notices().reserve::<Record>(0) else {
        return false;
    };
    let at = record.as_mut_ptr();
    // SAFETY: `at` points to a whole record.
    unsafe { (&raw mut (*at).notice).write(*notice) };
    // SAFETY: as above.
    let filled = unsafe { copy(ctx, &raw mut (*at).frame, notice.length) };
    if filled {
        record.submit(0);
    } else {
        record.discard(0);
    }
    filled
}
