//! Counting, on this CPU only but for what a flow has without a shortcut.

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns};
pub use switch_ebpf::xdp::count::{drop, received, sent, stray};
use switch_ebpf::{
    abi::{Counter, Cpu, FlowTraffic, Limited},
    xdp::{self, Shared, count::add},
};

use crate::maps;

/// The program of a port begins or ends on this CPU.
#[inline(always)]
pub fn run(cpu: *mut Cpu) {
    // SAFETY: `cpu` points to this CPU's element.
    unsafe { add(&raw mut (*cpu).runs, 1) };
}

/// A frame leaves for the VM of a binding.
#[inline(always)]
pub fn flow_up(slot: u32, length: usize) {
    if let Some(flow) = maps::flow_traffic(slot) {
        let flow: *mut FlowTraffic = flow;
        // SAFETY: `flow` points to an element of an array map, whose counters are written like this only.
        unsafe {
            Shared::new(&raw mut (*flow).up_packets).add(1);
            Shared::new(&raw mut (*flow).up_bytes).add(length as u64);
        }
    }
}

/// The time to within a tick, `CLOCK_MONOTONIC` in nanoseconds. The coarse clock changes with the tick only,
/// and to see that is one load, but to read it several calls in the kernel.
#[inline(always)]
pub fn coarse_ns(cpu: *mut Cpu) -> u64 {
    // SAFETY: a helper without arguments.
    let tick = unsafe { bpf_jiffies64() };
    // SAFETY: `cpu` points to this CPU's element.
    unsafe {
        if (*cpu).tick != tick {
            (*cpu).tick = tick;
            (*cpu).now_ns = bpf_ktime_get_coarse_ns();
        }
        (*cpu).now_ns
    }
}

/// A frame leaves from the VM of a binding.
#[inline(always)]
pub fn flow_down(cpu: *mut Cpu, slot: u32, length: usize) {
    if let Some(flow) = maps::flow_traffic(slot) {
        let flow: *mut FlowTraffic = flow;
        // SAFETY: as above.
        unsafe {
            Shared::new(&raw mut (*flow).down_packets).add(1);
            Shared::new(&raw mut (*flow).down_bytes).add(length as u64);
            (&raw mut (*flow).down_last_ns).write_volatile(coarse_ns(cpu));
        }
    }
}

/// One more of what `counter` counts.
#[inline(always)]
pub fn counter(counter: Counter) {
    xdp::count::counter(counter as u32);
}

/// A limit on what reaches the agent has bitten a frame of a site.
#[inline(always)]
pub fn limited(site: u32, limit: Limited) {
    if let Some(at) = maps::limited(site, limit) {
        // SAFETY: `at` points to this CPU's element.
        unsafe { add(at, 1) };
    }
}
