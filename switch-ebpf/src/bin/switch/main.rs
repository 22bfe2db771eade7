//! The XDP program of every port of the switch.
//!
//! Each step returns what is to be done with the frame or why it has to be dropped; the one match
//! in `switch` turns that into an XDP action, so that nothing deeper knows of actions.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod admit;
#[cfg(target_arch = "bpf")]
mod count;
#[cfg(target_arch = "bpf")]
mod down;
#[cfg(target_arch = "bpf")]
mod learn;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod miss;
#[cfg(target_arch = "bpf")]
mod shortcut;
#[cfg(target_arch = "bpf")]
mod up;

#[cfg(target_arch = "bpf")]
mod program {
    use core::cell::Cell;

    use aya_ebpf::{
        bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT},
        macros::xdp,
        programs::XdpContext,
    };
    use switch_ebpf::{
        abi::{Attachment, Counter, Cpu, Drop, ROLE_CLIENT, ROLE_SITE},
        frame::{Frame, Wire},
        xdp::{Packet, attachment, length},
    };

    use crate::{count, down, maps, miss, up};

    /// What is to be done with a frame. Where to is in [`Ingress::to`]: a payload here would be
    /// undefined for the others, which the verifier sees where it is spilled.
    #[derive(Clone, Copy)]
    pub enum Verdict {
        /// It leaves by the port of this index.
        Port,
        /// It stays the host's.
        Pass,
        /// The agent has it.
        Taken,
    }

    /// A frame that belongs to an attachment.
    pub struct Ingress<'a> {
        /// The frame.
        pub frame: Frame,
        /// The attachment.
        pub attachment: &'a Attachment,
        /// Whether the outer tag is the attachment's own.
        pub own_tag: bool,
        /// The whole frame's length in bytes.
        pub length: usize,
        /// What this CPU's programs know of themselves.
        pub cpu: *mut Cpu,
        /// The index of the port it leaves by, once that is known.
        pub to: &'a Cell<u32>,
    }

    // Both inlined in what the kernel calls: two that are the same would be one function, and a call more.

    /// Decides on a frame that came in at any port.
    #[xdp(frags)]
    #[inline(always)]
    pub fn switch(ctx: XdpContext) -> u32 {
        run(&ctx)
    }

    /// The same for a kernel whose frames are in one buffer.
    #[xdp]
    #[inline(always)]
    pub fn switch_linear(ctx: XdpContext) -> u32 {
        run(&ctx)
    }

    #[inline(always)]
    fn run(ctx: &XdpContext) -> u32 {
        let Some(cpu) = maps::cpu() else {
            return XDP_ABORTED; // Cannot be: the map has one element.
        };
        count::run(cpu);
        let action = decide(ctx, cpu);
        count::run(cpu);
        action
    }

    #[inline(always)]
    fn decide(ctx: &XdpContext, cpu: *mut Cpu) -> u32 {
        let to = Cell::new(0);
        match receive(ctx, cpu, &to) {
            Ok(Verdict::Port) => redirect(ctx, to.get()),
            Ok(Verdict::Pass) => {
                count::counter(Counter::Passed);
                XDP_PASS
            }
            Ok(Verdict::Taken) => XDP_DROP,
            Err(reason) => {
                count::drop(ctx, reason);
                XDP_DROP
            }
        }
    }

    #[inline(always)]
    fn redirect(ctx: &XdpContext, port: u32) -> u32 {
        let action = maps::redirect(port);
        if action != XDP_REDIRECT {
            // No port of this index: cannot be.
            count::drop(ctx, Drop::NoLeg);
        }
        action
    }

    #[inline(always)]
    fn receive(ctx: &XdpContext, cpu: *mut Cpu, to: &Cell<u32>) -> Result<Verdict, Drop> {
        let length = length(ctx);
        let ifindex = ctx.ingress_ifindex() as u32;
        // No more than the outer tag: what is inside is the host's, unless there is an attachment.
        let mut frame = match Frame::read_outer(&Packet(ctx)) {
            Ok(frame) => frame,
            Err(reason) => {
                count::stray(ifindex, length);
                return Err(reason);
            }
        };
        let mut own_tag = false;
        let Some(attachment) = attachment(ifindex, &frame, &mut own_tag, maps::attachment) else {
            count::stray(ifindex, length);
            return Ok(Verdict::Pass);
        };
        let Some(traffic) = maps::traffic(attachment.traffic) else {
            return Err(Drop::NoLeg);
        };
        count::received(traffic, length);
        if let Err(reason) = frame.read_carried(&Packet(ctx), own_tag) {
            if frame.destination == attachment.mac.load() {
                return Ok(Verdict::Pass);
            }
            return Err(reason);
        }
        let ingress = Ingress {
            frame,
            attachment,
            own_tag,
            length,
            cpu,
            to,
        };
        forward(ctx, &ingress)
    }

    #[inline(always)]
    fn forward(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<Verdict, Drop> {
        if ingress.frame.destination == ingress.attachment.mac.load() {
            if ingress.attachment.role == ROLE_SITE && ingress.frame.is_answer(&Packet(ctx)) {
                miss::answer(ctx, ingress);
            }
            return Ok(Verdict::Pass);
        }
        match ingress.attachment.role {
            ROLE_SITE => down::forward(ctx, ingress),
            ROLE_CLIENT => up::forward(ctx, ingress),
            _ => Err(Drop::NoLeg),
        }
    }
}

#[cfg(target_arch = "bpf")]
pub use program::{Ingress, Verdict};

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
