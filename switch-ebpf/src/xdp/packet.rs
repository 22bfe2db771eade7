//! A frame in an XDP program: reading it, and changing its outer tag in place.

use core::{arch::asm, array};

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
    frame::{Bytes, Retag, TAG_LEN, Wire, is_unaligned, load, store},
};

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
    fn view<T: Wire>(&self, offset: usize) -> Option<&T> {
        const { assert!(is_unaligned::<T>()) };
        let at = pointer::<T>(self.0, offset)?;
        // SAFETY: `pointer` checked the bounds, and a `Wire` is valid for any bytes. Nobody moves the frame
        // while it is looked at.
        Some(unsafe { &*at })
    }

    #[inline(always)]
    fn at<T: Wire>(&self, offset: usize) -> Option<T> {
        let at = pointer::<T>(self.0, offset)?;
        // SAFETY: `pointer` checked the bounds.
        Some(unsafe { T::load_from(at) })
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

/// The two MACs, as words.
type Macs = [u32; 3];

#[inline(always)]
fn read_macs(ctx: &XdpContext) -> Result<Macs, Drop> {
    let at = pointer::<Macs>(ctx, 0).ok_or(Drop::EthernetTruncated)?;
    // SAFETY: `pointer` checked the bounds.
    Ok(array::from_fn(|word| unsafe {
        load(at.cast::<u32>().add(word).cast())
    }))
}

#[inline(always)]
fn write_macs(ctx: &XdpContext, macs: Macs) -> Result<(), Drop> {
    let at = pointer::<Macs>(ctx, 0).ok_or(Drop::EthernetTruncated)?;
    for (word, value) in macs.into_iter().enumerate() {
        // SAFETY: `pointer` checked the bounds; the frame is the program's alone.
        unsafe { store(at.cast::<u32>().add(word).cast(), value) };
    }
    Ok(())
}

/// Writes the outer tag, which stands behind the MACs.
#[inline(always)]
fn write_tag(ctx: &XdpContext, tag: u32) -> Result<(), Drop> {
    let at = pointer::<u32>(ctx, size_of::<Macs>()).ok_or(Drop::EthernetTruncated)?;
    // SAFETY: as above.
    unsafe { store(at.cast(), tag) };
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
    let tag = defined(match change {
        Retag::Rewrite(tag) | Retag::Push(tag) => u32::from_ne_bytes(tag.to_bytes()),
        Retag::Keep | Retag::Pop => 0,
    });
    match change {
        Retag::Keep => Ok(()),
        Retag::Rewrite(_) => write_tag(ctx, tag),
        Retag::Push(_) => {
            let macs = read_macs(ctx)?;
            adjust_head(ctx.ctx, -(TAG_LEN as i32))?;
            write_macs(ctx, macs)?;
            write_tag(ctx, tag)
        }
        Retag::Pop => {
            let macs = read_macs(ctx)?;
            adjust_head(ctx.ctx, TAG_LEN as i32)?;
            write_macs(ctx, macs)
        }
    }
}

/// A word that is there on every way. The compiler leaves one undefined where it is not needed, and the
/// verifier sees that where it is moved.
#[inline(always)]
fn defined(word: u32) -> u32 {
    let mut word = u64::from(word);
    // SAFETY: it does nothing.
    unsafe { asm!("{0} = {0}", inout(reg) word, options(pure, nomem, nostack)) };
    word as u32
}
