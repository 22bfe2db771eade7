//! Where frames end.

use aya_ebpf::{
    bindings::xdp_action::XDP_DROP,
    helpers::bpf_ktime_get_ns,
    macros::{map, xdp},
    maps::PerCpuArray,
    programs::XdpContext,
};
use bench_ebpf::{Arrived, STEP};

/// What has arrived at the sink.
#[map]
static ARRIVED: PerCpuArray<Arrived> = PerCpuArray::with_max_entries(1, 0);

/// Counts a frame and drops it.
#[xdp(frags)]
pub fn sink(_: XdpContext) -> u32 {
    if let Some(arrived) = ARRIVED.get_ptr_mut(0) {
        // SAFETY: this CPU's element, and XDP programs of one CPU do not interrupt each other.
        count(unsafe { &mut *arrived });
    }
    XDP_DROP
}

#[inline(always)]
fn count(arrived: &mut Arrived) {
    if arrived.frames % STEP == 0 {
        // SAFETY: a helper without arguments.
        let now_ns = unsafe { bpf_ktime_get_ns() };
        if arrived.frames == 0 {
            arrived.first_ns = now_ns;
        }
        arrived.last_ns = now_ns;
    }
    arrived.frames += 1;
}
