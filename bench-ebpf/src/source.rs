//! Where frames come from.

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_TX},
    macros::xdp,
    programs::XdpContext,
};

use crate::stream;

/// Makes the next frame, and sends it into the cable of the device that it is run for.
///
/// The kernel has a few pages for all frames of a run and does not reset what others have written into
/// them (`xdp_test_run_batch` in net/bpf/test_run.c), so all that anybody may have changed is written.
#[xdp(frags)]
pub fn source(ctx: XdpContext) -> u32 {
    match stream::get().and_then(|stream| stream::write(&ctx, stream)) {
        Some(()) => XDP_TX,
        None => XDP_ABORTED,
    }
}
