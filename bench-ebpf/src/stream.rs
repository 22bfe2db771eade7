//! Frames of a stream.

use aya_ebpf::{helpers::bpf_get_prandom_u32, macros::map, maps::Array, programs::XdpContext};
use bench_ebpf::{Stream, address, checksum};

/// Offsets that come from a map are cut to this, so that the verifier knows how far they can reach.
const FURTHEST: usize = 127;

/// What is to be sent. Written by the benchmark.
#[map]
static STREAM: Array<Stream> = Array::with_max_entries(1, 0);

/// What is to be sent.
#[inline(always)]
pub fn get() -> Option<&'static Stream> {
    STREAM.get(0)
}

/// Writes the next frame of a stream in the place of the one there is, which is as long.
#[inline(always)]
pub fn write(ctx: &XdpContext, stream: &Stream) -> Option<()> {
    // SAFETY: a helper without arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    let number = stream.first.wrapping_add(random.checked_rem(stream.flows)?);
    let low = address(number);
    let [_, a, b, c] = low.to_be_bytes();
    put(ctx, 0, stream.headers)?;
    put(ctx, stream.mac_at, [a, b, c])?;
    put(ctx, stream.address_at, [a, b, c])?;
    put(ctx, stream.checksum_at, checksum(stream.sum, low))
}

#[inline(always)]
fn put<const N: usize>(ctx: &XdpContext, offset: u32, bytes: [u8; N]) -> Option<()> {
    let at = ctx.data() + (offset as usize & FURTHEST);
    if at + N > ctx.data_end() {
        return None;
    }
    // SAFETY: the bytes lie within the frame, which is the program's alone.
    unsafe { (at as *mut [u8; N]).write_unaligned(bytes) };
    Some(())
}
