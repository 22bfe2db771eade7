//! The program that writes one site's tag into the site's copy of a frame for everyone.
//!
//! The kernel copies such a frame for every entry of the network's flood map and runs the entry's
//! program on the copy. Two sites may be on one port, so that the program cannot tell by the port
//! which site it is at: the agent loads it once for each, with that site's constants.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod program {
    use aya_ebpf::{
        Global,
        bindings::xdp_action::{XDP_DROP, XDP_PASS},
        helpers::generated::bpf_xdp_get_buff_len,
        macros::{map, xdp},
        maps::PerCpuArray,
        programs::XdpContext,
    };
    use switch_ebpf::{
        abi::{Drop, Traffic, traffic},
        frame::VID_MASK,
    };

    #[map]
    static TRAFFIC: PerCpuArray<Traffic> = PerCpuArray::pinned(traffic::ENTRIES, 0);
    #[map]
    static DROPS: PerCpuArray<u64> = PerCpuArray::pinned(Drop::ENTRIES, 0);

    #[unsafe(no_mangle)]
    static SITE_TRAFFIC: Global<u32> = Global::new(0);
    #[unsafe(no_mangle)]
    static SITE_MAX_FRAME: Global<u32> = Global::new(0);
    #[unsafe(no_mangle)]
    static SITE_TPID: Global<u16> = Global::new(0);
    #[unsafe(no_mangle)]
    static SITE_VID: Global<u16> = Global::new(0);

    /// Ethernet header and the tag that was made room for.
    #[repr(C, packed)]
    struct Header {
        macs: [u8; 12],
        tpid: [u8; 2],
        tci: [u8; 2],
    }

    /// Writes the tag, PCP and DEI kept.
    #[xdp(frags, map = "devmap")]
    pub fn flood(ctx: XdpContext) -> u32 {
        match stamp(&ctx) {
            Ok(()) => XDP_PASS,
            Err(reason) => {
                if let Some(count) = DROPS.get_ptr_mut(reason as u32) {
                    // SAFETY: this CPU's element.
                    unsafe { *count += 1 };
                }
                XDP_DROP
            }
        }
    }

    #[inline(always)]
    fn stamp(ctx: &XdpContext) -> Result<(), Drop> {
        // SAFETY: `ctx` is the program's context.
        let length = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
        if length > u64::from(SITE_MAX_FRAME.load()) {
            return Err(Drop::TooBig);
        }
        let start = ctx.data();
        if start + size_of::<Header>() > ctx.data_end() {
            return Err(Drop::VlanTruncated);
        }
        let header = start as *mut Header;
        // SAFETY: within the frame, as just checked, and made of bytes only.
        unsafe {
            let tci = u16::from_be_bytes((*header).tci) & !VID_MASK | SITE_VID.load();
            (*header).tpid = SITE_TPID.load().to_be_bytes();
            (*header).tci = tci.to_be_bytes();
        }
        if let Some(traffic) = TRAFFIC.get_ptr_mut(SITE_TRAFFIC.load()) {
            // SAFETY: this CPU's element.
            unsafe {
                (*traffic).tx_packets += 1;
                (*traffic).tx_bytes += length;
            }
        }
        Ok(())
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

/// On the host there is nothing to run: the agent embeds the BPF build of this file.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
