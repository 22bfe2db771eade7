//! Carrying a frame to the other side.

use aya_ebpf::programs::XdpContext;
use switch_ebpf::{
    abi::{Drop, Leg},
    frame::{Frame, Retag},
    xdp::{count, retag},
};

/// Gives the frame the tag of the other side.
#[inline(always)]
pub fn cross(
    ctx: &XdpContext,
    frame: &Frame,
    own_tag: bool,
    length: usize,
    out: &Leg,
) -> Result<(), Drop> {
    let change = Retag::between(frame.outer(), own_tag, out.tag());
    let length = length.wrapping_add_signed(change.growth());
    // A side whose port is gone.
    if out.max_frame == 0 {
        return Err(Drop::NoLeg);
    }
    if length > out.max_frame as usize {
        return Err(Drop::TooBig);
    }
    retag(ctx, change)?;
    count::sent(out.traffic, length);
    Ok(())
}
