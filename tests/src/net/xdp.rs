//! The least XDP there can be, to see that a cable is fit for it.

use std::os::fd::{AsFd, AsRawFd};

use anyhow::Result;
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp};

use super::bpf::{self, Hook, Step};
use crate::Namespace;

/// `XDP_FLAGS_DRV_MODE` of linux/if_link.h: native or not at all.
const NATIVE: u32 = 1 << 2;

/// Sends whatever arrives at one link out of another, in native XDP. The program goes away with
/// the link.
///
/// # Errors
/// When there is no such link, or it cannot do that.
pub fn redirect(namespace: &Namespace, from: &str, to: &str) -> Result<()> {
    let program = bpf::load(Hook::Xdp, &[], &[Step::Redirect(namespace.link(to)?.index)])?;
    let attach = vec![
        LinkXdp::Fd(program.as_fd().as_raw_fd()),
        LinkXdp::Flags(NATIVE),
    ];
    namespace.change(from, "attach XDP", |link| {
        link.append_extra_attribute(LinkAttribute::Xdp(attach))
    })
}
