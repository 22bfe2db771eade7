//! A program's way with one frame, again and again.
//!
//! A repeated test run gives each run the frame that the last one has left, with a tag more or less. So
//! what is run is [`again`]: it makes the frame what it was, and goes on to the program in question.

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_action::{XDP_ABORTED, XDP_PASS},
    helpers::generated::bpf_xdp_adjust_head,
    macros::{map, xdp},
    maps::{Array, ProgramArray},
    programs::XdpContext,
};
use bench_ebpf::Fixture;

use crate::frame::write;

/// The frame.
#[map]
static FIXTURE: Array<Fixture> = Array::with_max_entries(1, 0);

/// The program in question.
#[map]
static PROGRAM: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Restores the frame and runs the program on it.
#[xdp(frags)]
pub fn again(ctx: XdpContext) -> u32 {
    if restore(&ctx).is_some() {
        // SAFETY: nothing of this program is needed any more, and nothing is to be dropped.
        unsafe { PROGRAM.tail_call(&ctx, 0) };
    }
    XDP_ABORTED
}

#[inline(always)]
fn restore(ctx: &XdpContext) -> Option<()> {
    let fixture = FIXTURE.get(0)?;
    let longer = (ctx.data_end() - ctx.data()) as i32 - fixture.length as i32;
    // Also where nothing is to be moved: the call costs the same for every program then.
    // SAFETY: `ctx` is the program's context, and no pointer into the frame is kept.
    if unsafe { bpf_xdp_adjust_head(ctx.as_ptr().cast(), longer) } != 0 {
        return None;
    }
    write(ctx, 0, fixture.headers).then_some(())
}

/// The program that others are compared with.
#[xdp(frags)]
pub fn empty(_: XdpContext) -> u32 {
    XDP_PASS
}
