//! The benchmark's programs: a sink that counts what arrives.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod stamp;

#[cfg(target_arch = "bpf")]
mod program {
    use aya_ebpf::{
        bindings::xdp_action::XDP_DROP,
        macros::{map, xdp},
        maps::PerCpuArray,
        programs::XdpContext,
    };

    /// Frames that have arrived at the sink.
    #[map]
    static ARRIVED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

    /// Counts a frame and drops it.
    #[xdp(frags)]
    pub fn sink(_: XdpContext) -> u32 {
        count_arrived();
        XDP_DROP
    }

    /// Counts a frame.
    #[inline(always)]
    pub fn count_arrived() {
        if let Some(arrived) = ARRIVED.get_ptr_mut(0) {
            // SAFETY: this CPU's element, and XDP programs of one CPU do not interrupt each other.
            unsafe { arrived.write_volatile(arrived.read_volatile() + 1) };
        }
    }
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program in which this could be reached.
    loop {}
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// On the host there is nothing to run: the benchmark embeds the BPF build of this file.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
