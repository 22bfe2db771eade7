//! Where frames come from.

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_TX},
    helpers::bpf_get_prandom_u32,
    macros::{map, xdp},
    maps::Array,
    programs::XdpContext,
};
use bench_ebpf::{Stream, address, checksum};

use crate::frame::write;

/// What is to be sent.
#[map]
static STREAM: Array<Stream> = Array::with_max_entries(1, 0);

/// Makes the next frame, and sends it into the cable of the device that it is run for.
///
/// The kernel has a few pages for all frames of a run and does not reset what others have written into
/// them (`xdp_test_run_batch` in net/bpf/test_run.c), so all that anybody may have changed is written.
#[xdp(frags)]
pub fn source(ctx: XdpContext) -> u32 {
    match fill(&ctx) {
        Some(()) => XDP_TX,
        None => XDP_ABORTED,
    }
}

#[inline(always)]
fn fill(ctx: &XdpContext) -> Option<()> {
    let stream = STREAM.get(0)?;
    // SAFETY: a helper without arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    let low = address(random.checked_rem(stream.flows)?);
    let [_, a, b, c] = low.to_be_bytes();
    let filled = write(ctx, 0, stream.headers)
        && write(ctx, stream.mac_at as usize, [a, b, c])
        && write(ctx, stream.address_at as usize, [a, b, c])
        && write(ctx, stream.checksum_at as usize, checksum(stream.sum, low));
    filled.then_some(())
}
