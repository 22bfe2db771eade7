//! A frame in an XDP program: reading it, and changing its outer tag in place.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_get_buff_len},
    programs::XdpContext,
};

use crate::{
    abi::Drop,
    frame::{Bytes, Retag, TAG_LEN, Wire},
};

/// Bytes of the two MACs, which stand in front of the outer tag.
const MACS_LEN: usize = 12;

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
    // SAFETY: `ctx` is the program's context.
    let length = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
    length as usize
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
