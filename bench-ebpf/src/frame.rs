//! Writing into a frame.

use aya_ebpf::programs::XdpContext;

/// Offsets that come from a map are cut to this, so that the verifier knows how far they can reach.
const FURTHEST: usize = 127;

/// Writes bytes at an offset. Whether they fit.
#[inline(always)]
pub fn write<const N: usize>(ctx: &XdpContext, offset: usize, bytes: [u8; N]) -> bool {
    let at = ctx.data() + (offset & FURTHEST);
    if at + N > ctx.data_end() {
        return false;
    }
    // SAFETY: the bytes lie within the frame, which is the program's alone.
    unsafe { (at as *mut [u8; N]).write_unaligned(bytes) };
    true
}
