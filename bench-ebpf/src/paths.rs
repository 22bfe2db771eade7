//! A program's way with a frame, again and again.
//!
//! A repeated test run gives each run the frame that the last one has left, with a tag more or less. So
//! what is run is [`again`]: it makes a new frame, and goes on to the program in question.

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_action::{XDP_ABORTED, XDP_PASS},
    helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_get_buff_len},
    macros::{map, xdp},
    maps::ProgramArray,
    programs::XdpContext,
};

use crate::stream;

/// The program in question. Written by the benchmark.
#[map]
static PROGRAM: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Makes the next frame of the stream and runs the program on it.
#[xdp(frags)]
pub fn again(ctx: XdpContext) -> u32 {
    if renew(&ctx).is_some() {
        // SAFETY: nothing of this program is needed any more, and nothing is to be dropped.
        unsafe { PROGRAM.tail_call(&ctx, 0) };
    }
    XDP_ABORTED
}

#[inline(always)]
fn renew(ctx: &XdpContext) -> Option<()> {
    let stream = stream::get()?;
    // SAFETY: `ctx` is the program's context.
    let length = unsafe { bpf_xdp_get_buff_len(ctx.as_ptr().cast()) };
    let longer = length as i32 - stream.length as i32;
    // Also where nothing is to be moved: then the call costs the same for every program.
    // SAFETY: `ctx` is the program's context, and there is no pointer into the frame.
    if unsafe { bpf_xdp_adjust_head(ctx.as_ptr().cast(), longer) } != 0 {
        return None;
    }
    stream::write(ctx, stream)
}

/// The program that others are compared with.
#[xdp(frags)]
pub fn empty(_: XdpContext) -> u32 {
    XDP_PASS
}
