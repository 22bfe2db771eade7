//! A frame in an XDP program: reading it, and changing its outer tag in place.

use aya_ebpf::{
    bindings::xdp_md,
    check_bounds_signed,
    helpers::generated::{
        bpf_probe_read_kernel, bpf_xdp_adjust_head, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
    },
    programs::XdpContext,
};

use crate::{
    abi::Drop,
    frame::{Bytes, Retag, TAG_LEN, Wire},
};

/// Bytes of the two MACs, which stand in front of the outer tag.
const MACS_LEN: usize = 12;

/// Whether a frame may be in several buffers, which needs Linux 5.18: the agent writes it here before the
/// program is loaded. A constant to the verifier, which leaves out what cannot happen, with the helpers
/// that an older kernel does not have.
#[unsafe(no_mangle)]
static FRAGS: u32 = 1;

#[inline(always)]
fn frags() -> bool {
    // SAFETY: a constant, which the compiler must not take for the one that stands here.
    unsafe { (&raw const FRAGS).read_volatile() != 0 }
}

/// The linear part of a frame.
pub struct Packet<'a>(pub &'a XdpContext);

impl Bytes for Packet<'_> {
    #[inline(always)]
    fn at<T: Wire>(&self, offset: usize) -> Option<T> {
        let at = pointer::<T>(self.0, offset)?;
        // SAFETY: `pointer` checked the bounds, and a `Wire` is valid for any bytes.
        Some(unsafe { at.read_unaligned() })
    }
}

/// The whole frame's length in bytes, in however many buffers it is.
#[inline(always)]
pub fn length(ctx: &XdpContext) -> usize {
    if frags() {
        // SAFETY: `ctx` is the program's context.
        let length = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
        length as usize
    } else {
        ctx.data_end() - ctx.data()
    }
}

/// Copies the first `length` bytes of the frame, which it must have, to where there is room for `N`.
/// False where they are none or do not fit.
///
/// # Safety
/// `to` must point to `N` bytes that may be written.
#[inline(always)]
pub unsafe fn copy<const N: usize>(ctx: *mut xdp_md, to: *mut [u8; N], length: u32) -> bool {
    // The verifier wants to know the bounds of the very register that the helper gets, which the
    // compiler's own comparisons do not tell kernels before 6.18.
    if !check_bounds_signed(i64::from(length), 1, N as i64) {
        return false;
    }
    // SAFETY: there is room for `length` bytes, the caller's promise, and `ctx` is the program's context.
    // The second helper is for the kernel's memory, which a frame in one buffer is.
    let error = unsafe {
        if frags() {
            bpf_xdp_load_bytes(ctx, 0, to.cast(), length)
        } else {
            bpf_probe_read_kernel(to.cast(), length, (*ctx).data as *const _)
        }
    };
    error == 0
}

/// A pointer to a `T` that lies within the linear part.
#[inline(always)]
fn pointer<T>(ctx: &XdpContext, offset: usize) -> Option<*mut T> {
    let start = ctx.data() + offset;
    if start + size_of::<T>() > ctx.data_end() {
        None
    } else {
        Some(start as *mut T)
    }
}

#[inline(always)]
fn read<const N: usize>(ctx: &XdpContext, offset: usize) -> Option<[u8; N]> {
    Packet(ctx).at(offset)
}

#[inline(always)]
fn write<const N: usize>(ctx: &XdpContext, offset: usize, bytes: [u8; N]) -> Result<(), Drop> {
    let at = pointer::<[u8; N]>(ctx, offset).ok_or(Drop::EthernetTruncated)?;
    // SAFETY: `pointer` checked the bounds; the frame is the program's alone.
    unsafe { at.write_unaligned(bytes) };
    Ok(())
}

#[inline(always)]
fn adjust_head(ctx: *mut xdp_md, by: i32) -> Result<(), Drop> {
    // SAFETY: `ctx` is the program's context. Every pointer into the frame is made anew after this.
    if unsafe { bpf_xdp_adjust_head(ctx, by) } == 0 {
        Ok(())
    } else {
        Err(Drop::NoHeadroom)
    }
}

/// Changes the outer tag. The MACs are copied out before anything moves.
#[inline(always)]
pub fn retag(ctx: &XdpContext, change: Retag) -> Result<(), Drop> {
    match change {
        Retag::Keep => Ok(()),
        Retag::Rewrite(tag) => write(ctx, MACS_LEN, tag.to_bytes()),
        Retag::Push(tag) => {
            let macs: [u8; MACS_LEN] = read(ctx, 0).ok_or(Drop::EthernetTruncated)?;
            adjust_head(ctx.ctx, -(TAG_LEN as i32))?;
            write(ctx, 0, macs)?;
            write(ctx, MACS_LEN, tag.to_bytes())
        }
        Retag::Pop => {
            let macs: [u8; MACS_LEN] = read(ctx, 0).ok_or(Drop::EthernetTruncated)?;
            adjust_head(ctx.ctx, TAG_LEN as i32)?;
            write(ctx, 0, macs)
        }
    }
}
