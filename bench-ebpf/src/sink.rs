//! Where frames end.

use aya_ebpf::{
    bindings::xdp_action::XDP_DROP, macros::map, macros::xdp, maps::PerCpuArray,
    programs::XdpContext,
};

/// Frames that have arrived at the sink.
#[map]
static ARRIVED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Counts a frame and drops it.
#[xdp(frags)]
pub fn sink(_: XdpContext) -> u32 {
    if let Some(arrived) = ARRIVED.get_ptr_mut(0) {
        // SAFETY: this CPU's element, and XDP programs of one CPU do not interrupt each other.
        unsafe { arrived.write_volatile(arrived.read_volatile() + 1) };
    }
    XDP_DROP
}
