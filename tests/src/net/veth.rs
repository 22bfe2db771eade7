//! Cables: veth pairs on which XDP sees what is on the wire.

use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use rtnetlink::{
    LinkUnspec, LinkVeth,
    packet_route::link::{InfoData, InfoVeth},
};

use super::{ethtool, netlink::with_netlink};
use crate::{Mac, Namespace};

/// The payload size of an ordinary Ethernet.
pub const MTU: u32 = 1500;

/// What makes a veth end behave like a wire under XDP.
///
/// Checksums (and with them segmentation) are done before a frame is sent, tags stay in the
/// frame, and GRO runs the receiver's NAPI, without which a redirect to the other end is dropped.
/// The stag features are the 802.1ad twins of `rxvlan` and `txvlan`.
pub const RECIPE: &[(&str, bool)] = &[
    ("tx-checksum-ip-generic", false),
    ("tx-checksum-sctp", false),
    ("tx-tcp-segmentation", false),
    ("tx-vlan-hw-insert", false),
    ("tx-vlan-stag-hw-insert", false),
    ("rx-vlan-hw-parse", false),
    ("rx-vlan-stag-hw-parse", false),
    ("rx-gro", true),
];

/// One end of a cable.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    namespace: &'a Namespace,
    name: &'a str,
    mac: Option<Mac>,
}

impl<'a> From<(&'a Namespace, &'a str)> for End<'a> {
    fn from((namespace, name): (&'a Namespace, &'a str)) -> Self {
        Self {
            namespace,
            name,
            mac: None,
        }
    }
}

impl<'a> From<(&'a Namespace, &'a str, Mac)> for End<'a> {
    fn from((namespace, name, mac): (&'a Namespace, &'a str, Mac)) -> Self {
        Self {
            namespace,
            name,
            mac: Some(mac),
        }
    }
}

/// Lays a cable between two namespaces, follows [`RECIPE`] on both ends, and waits until frames
/// flow.
///
/// # Errors
/// When a name is taken or too long, or the kernel refuses a setting.
pub fn veth<'a>(a: impl Into<End<'a>>, b: impl Into<End<'a>>) -> Result<()> {
    veth_with_mtu(a, b, MTU)
}

/// As [`veth`], with an MTU of its own.
///
/// # Errors
/// As [`veth`].
pub fn veth_with_mtu<'a>(a: impl Into<End<'a>>, b: impl Into<End<'a>>, mtu: u32) -> Result<()> {
    let (a, b) = (a.into(), b.into());
    create(a, b, mtu).with_context(|| {
        let (left, right) = (a.namespace.name(), b.namespace.name());
        format!(
            "lay a veth pair from {} in {left} to {} in {right}",
            a.name, b.name
        )
    })
}

fn create(a: End<'_>, b: End<'_>, mtu: u32) -> Result<()> {
    let mut peer = LinkUnspec::new_with_name(b.name)
        .mtu(mtu)
        .setns_by_fd(b.namespace.as_fd().as_raw_fd());
    if let Some(mac) = b.mac {
        peer = peer.address(mac.to_vec());
    }
    let mut message = LinkVeth::new(a.name, b.name)
        .mtu(mtu)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
    if let Some(mac) = a.mac {
        message = message.address(mac.to_vec());
    }
    let message = message.build();
    with_netlink(a.namespace, async |handle| {
        Ok(handle.link().add(message).execute().await?)
    })?;
    for end in [a, b] {
        end.namespace.set_up(end.name)?;
    }
    // Only now: `veth_set_features` makes the other end a target for redirects when GRO comes on,
    // but not on a link that is down, and `veth_open` looks after its own end only.
    for end in [a, b] {
        ethtool::set_features(end.namespace, end.name, RECIPE)?;
    }
    for end in [a, b] {
        end.namespace.wait_running(end.name)?;
    }
    Ok(())
}
