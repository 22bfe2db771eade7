//! Counting, on this CPU only.

use aya_ebpf::{helpers::generated::bpf_ktime_get_coarse_ns, programs::XdpContext};
use aya_log_ebpf::warn;
use switch_ebpf::{
    abi::{Counter, Drop, FlowTraffic, Traffic, traffic},
    xdp::count,
};

use crate::maps;

/// A frame came in at an attachment.
#[inline(always)]
pub fn received(traffic: *mut Traffic, length: usize) {
    // SAFETY: `traffic` points to an element of the map.
    unsafe { count::received(traffic, length) };
}

/// The program of a port begins or ends on this CPU.
#[inline(always)]
pub fn run() {
    if let Some(runs) = maps::runs() {
        // SAFETY: `runs` points to this CPU's element.
        unsafe { count::add(runs, 1) };
    }
}

/// A frame leaves for an attachment.
#[inline(always)]
pub fn sent(index: u32, length: usize) {
    if let Some(traffic) = maps::traffic(index) {
        // SAFETY: `traffic` points to an element of the map.
        unsafe { count::sent(traffic, length) };
    }
}

/// A frame came in at a port and belongs to none of its attachments.
#[inline(always)]
pub fn stray(ifindex: u32, length: usize) {
    if let Some(port) = maps::port(ifindex)
        && let Some(traffic) = maps::traffic(traffic::port(port.index))
    {
        received(traffic, length);
    }
}

/// A frame leaves for the VM of a binding.
#[inline(always)]
pub fn flow_up(slot: u32, length: usize) {
    if let Some(flow) = maps::flow_traffic(slot) {
        let flow: *mut FlowTraffic = flow;
        // SAFETY: `flow` points to an element of the map.
        unsafe {
            count::add(&raw mut (*flow).up_packets, 1);
            count::add(&raw mut (*flow).up_bytes, length as u64);
        }
    }
}

/// A frame leaves from the VM of a binding.
#[inline(always)]
pub fn flow_down(slot: u32, length: usize) {
    if let Some(flow) = maps::flow_traffic(slot) {
        let flow: *mut FlowTraffic = flow;
        // SAFETY: `flow` points to an element of the map.
        unsafe {
            count::add(&raw mut (*flow).down_packets, 1);
            count::add(&raw mut (*flow).down_bytes, length as u64);
            // The coarse clock costs a fraction of the fine one, and milliseconds will do.
            (&raw mut (*flow).down_last_ns).write_volatile(bpf_ktime_get_coarse_ns());
        }
    }
}

/// One more of what `counter` counts.
#[inline(always)]
pub fn counter(counter: Counter) {
    if let Some(at) = maps::counter(counter) {
        // SAFETY: `at` points to an element of the map.
        unsafe { count::add(at, 1) };
    }
}

/// Frames are dropped.
#[inline(always)]
pub fn drops(reason: Drop, frames: u64) {
    if let Some(at) = maps::drops(reason) {
        // SAFETY: `at` points to an element of the map.
        unsafe { count::add(at, frames) };
    }
}

/// A frame is dropped.
#[inline(always)]
pub fn drop(ctx: &XdpContext, reason: Drop) {
    let Some(at) = maps::drops(reason) else {
        return;
    };
    // SAFETY: `at` points to an element of the map.
    let first = unsafe { count::add(at, 1) } == 1;
    // Once a CPU: a driver that leaves no headroom does so for every frame.
    if first && matches!(reason, Drop::NoHeadroom) {
        warn!(
            ctx,
            "ifindex {}: the driver leaves no room in front of a frame to push a VLAN tag",
            ctx.ingress_ifindex() as u32
        );
    }
}
