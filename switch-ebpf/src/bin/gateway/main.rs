//! The XDP program of both ports of a gateway: it listens, and carries frames between a LAN and the
//! VLAN of a trunk.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod cross;
#[cfg(target_arch = "bpf")]
mod listen;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod notice;

#[cfg(target_arch = "bpf")]
mod program {
    use core::cell::Cell;

    use aya_ebpf::{
        bindings::{
            xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT},
            xdp_md,
        },
        macros::xdp,
        programs::XdpContext,
    };
    use switch_ebpf::{
        abi::{
            Drop, MODE_NATIVE,
            gateway::{Counter, MODE_FORWARD},
        },
        frame::Frame,
        xdp::{
            Packet, attachment, count, egress, length,
            maps::{cpu, redirect, traffic},
        },
    };

    use crate::{cross, listen, maps};

    /// What is to be done with a frame. Where to is told apart: a payload here would be undefined
    /// for the other, which the verifier sees where it is spilled.
    #[derive(Clone, Copy)]
    enum Verdict {
        /// It leaves by the port of the index in the cell.
        Port,
        /// It stays the host's.
        Pass,
    }

    /// Decides on a frame that came in at either port.
    #[xdp(frags)]
    pub fn gateway(ctx: XdpContext) -> u32 {
        run(&ctx)
    }

    /// The same for a kernel whose frames are in one buffer.
    #[xdp]
    pub fn gateway_linear(ctx: XdpContext) -> u32 {
        run(&ctx)
    }

    #[inline(always)]
    fn run(ctx: &XdpContext) -> u32 {
        let to = Cell::new(0);
        match receive(ctx, &to) {
            Ok(Verdict::Port) => {
                let action = redirect(to.get());
                if action != XDP_REDIRECT {
                    dropped(ctx.ctx, Drop::NoLeg);
                }
                action
            }
            Ok(Verdict::Pass) => {
                count::counter(Counter::Passed as u32);
                XDP_PASS
            }
            Err(reason) => {
                dropped(ctx.ctx, reason);
                XDP_DROP
            }
        }
    }

    /// A function of its own, as the stack below [`listen`] is small.
    #[inline(never)]
    fn dropped(ctx: *mut xdp_md, reason: Drop) {
        count::drop(&XdpContext::new(ctx), reason);
    }

    #[inline(always)]
    fn receive(ctx: &XdpContext, to: &Cell<u32>) -> Result<Verdict, Drop> {
        let length = length(ctx);
        let ifindex = ctx.ingress_ifindex() as u32;
        // No more than the outer tag: what is inside is carried, whatever it is. A frame that ends
        // before belongs to neither side.
        let Ok(frame) = Frame::read_outer(&Packet(ctx)) else {
            count::stray(ifindex, length);
            return Ok(Verdict::Pass);
        };
        let mut own_tag = false;
        let Some(crossing) = attachment(ifindex, &frame, &mut own_tag, maps::crossing) else {
            count::stray(ifindex, length);
            return Ok(Verdict::Pass);
        };
        if let Some(traffic) = traffic(crossing.traffic) {
            count::received(traffic, length);
        }
        let to_port = frame.destination == crossing.mac;
        listen::listen(ctx.ctx, crossing.side, to_port);
        if to_port || crossing.mode != MODE_FORWARD {
            return Ok(Verdict::Pass);
        }
        cross::cross(ctx, &frame, own_tag, length, &crossing.out)?;
        if crossing.xdp_mode == MODE_NATIVE
            && let Some(cpu) = cpu()
        {
            egress::handed_over(cpu);
        }
        to.set(crossing.out.port);
        Ok(Verdict::Port)
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
