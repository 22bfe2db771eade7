//! The least that can be between two cables: the limit for any switch on them.

use aya_ebpf::{
    bindings::xdp_action::XDP_DROP,
    macros::{map, xdp},
    maps::DevMap,
    programs::XdpContext,
};

/// The two ports: the client's, and that of the sites.
#[map]
static PORTS: DevMap = DevMap::with_max_entries(2, 0);

#[inline(always)]
fn redirect(port: u32) -> u32 {
    PORTS
        .redirect(port, u64::from(XDP_DROP))
        .unwrap_or(XDP_DROP)
}

/// Sends every frame to the client.
#[xdp(frags)]
pub fn to_client(_: XdpContext) -> u32 {
    redirect(0)
}

/// Sends every frame to the sites.
#[xdp(frags)]
pub fn to_sites(_: XdpContext) -> u32 {
    redirect(1)
}
