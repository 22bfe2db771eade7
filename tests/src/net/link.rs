//! Links and neighbours, as methods of the namespace that holds them.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec,
    packet_route::link::{
        BridgeStpState, LinkAttribute, LinkFlags, LinkMessage, LinkXdp, State, XdpAttached,
    },
};

use super::netlink::with_netlink;
use crate::{Mac, Namespace, poll_until};

/// How an XDP program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// After the driver, on socket buffers.
    Generic,
    /// In hardware, or in several ways at once.
    Other,
}

impl XdpMode {
    fn read(attribute: &LinkXdp) -> Option<Self> {
        match attribute {
            LinkXdp::Attached(XdpAttached::None) => None,
            LinkXdp::Attached(XdpAttached::Driver) => Some(Self::Native),
            LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(Self::Generic),
            LinkXdp::Attached(_) => Some(Self::Other),
            _ => None,
        }
    }
}

/// What the kernel says about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface number.
    pub index: u32,
    /// The hardware address.
    pub mac: Mac,
    /// The largest payload of a frame.
    pub mtu: u32,
    /// Whether it was set up.
    pub up: bool,
    /// Whether it also has a carrier and passes frames.
    pub running: bool,
    /// How many have asked for all frames; the interface is promiscuous unless it is zero.
    pub promiscuity: u32,
    /// How an XDP program is attached, if one is.
    pub xdp: Option<XdpMode>,
    /// The id of that program.
    pub xdp_program: Option<u32>,
    /// The bridge it is a port of.
    pub master: Option<u32>,
}

impl Link {
    fn read(message: &LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            mac: [0; 6],
            mtu: 0,
            up: message.header.flags.contains(LinkFlags::Up),
            running: false,
            promiscuity: 0,
            xdp: None,
            xdp_program: None,
            master: None,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Address(mac) => {
                    link.mac = mac.as_slice().try_into().unwrap_or(link.mac)
                }
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::OperState(state) => link.running = *state == State::Up,
                LinkAttribute::Controller(master) => link.master = Some(*master),
                LinkAttribute::Promiscuity(count) => link.promiscuity = *count,
                LinkAttribute::Xdp(attributes) => {
                    link.xdp = attributes.iter().find_map(XdpMode::read);
                    link.xdp_program = attributes.iter().find_map(program_id);
                }
                _ => {}
            }
        }
        link
    }
}

fn program_id(attribute: &LinkXdp) -> Option<u32> {
    match attribute {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    }
}

pub(super) async fn link(handle: &Handle, name: &str) -> Result<Link> {
    let found = handle
        .link()
        .get()
        .match_name(name)
        .execute()
        .try_next()
        .await;
    let message = found
        .with_context(|| format!("look up link {name}"))?
        .with_context(|| format!("look up link {name}: no answer"))?;
    Ok(Link::read(&message))
}

impl Namespace {
    /// Looks a link up by its name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn link(&self, name: &str) -> Result<Link> {
        with_netlink(self, async |handle| link(&handle, name).await)
            .with_context(|| format!("in {}", self.name()))
    }

    /// Changes one thing about a link.
    pub(super) fn change(
        &self,
        name: &str,
        what: &str,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec> + Send,
    ) -> Result<()> {
        with_netlink(self, async |handle| {
            let index = link(&handle, name).await?.index;
            let message = change(LinkUnspec::new_with_index(index)).build();
            Ok(handle.link().change(message).execute().await?)
        })
        .with_context(|| format!("{what} of {name} in {}", self.name()))
    }

    /// Sets a link up.
    ///
    /// # Errors
    /// When there is no such link or the kernel refuses.
    pub fn set_up(&self, name: &str) -> Result<()> {
        self.change(name, "set the state", LinkMessageBuilder::up)
    }

    /// Sets a link down.
    ///
    /// # Errors
    /// As [`Namespace::set_up`].
    pub fn set_down(&self, name: &str) -> Result<()> {
        self.change(name, "clear the state", LinkMessageBuilder::down)
    }

    /// Gives a link another hardware address.
    ///
    /// # Errors
    /// As [`Namespace::set_up`].
    pub fn set_mac(&self, name: &str, mac: Mac) -> Result<()> {
        self.change(name, "set the MAC address", |link| {
            link.address(mac.to_vec())
        })
    }

    /// Sets the largest payload of a frame.
    ///
    /// # Errors
    /// As [`Namespace::set_up`].
    pub fn set_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        self.change(name, "set the MTU", |link| link.mtu(mtu))
    }

    /// Makes a link a port of `bridge`, or of none.
    ///
    /// # Errors
    /// As [`Namespace::set_up`].
    pub fn set_bridge(&self, name: &str, bridge: Option<&str>) -> Result<()> {
        // Master 0 means none.
        let master = bridge.map_or(Ok(0), |bridge| self.link(bridge).map(|bridge| bridge.index))?;
        self.change(name, "set the bridge", |link| link.controller(master))
    }

    /// Creates a bridge that floods and learns and does nothing clever.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_bridge(&self, name: &str) -> Result<()> {
        let message = LinkBridge::new(name)
            .stp_state(BridgeStpState::Disabled)
            .mcast_snooping(false)
            .build();
        with_netlink(self, async |handle| {
            Ok(handle.link().add(message).execute().await?)
        })
        .with_context(|| format!("create bridge {name} in {}", self.name()))
    }

    /// Removes a link, and with a veth end its other end.
    ///
    /// # Errors
    /// As [`Namespace::set_up`].
    pub fn delete_link(&self, name: &str) -> Result<()> {
        with_netlink(self, async |handle| {
            let index = link(&handle, name).await?.index;
            Ok(handle.link().del(index).execute().await?)
        })
        .with_context(|| format!("delete link {name} in {}", self.name()))
    }

    /// Waits until a link has a carrier and frames flow: what is sent before that is lost.
    ///
    /// # Errors
    /// When it takes longer than a few seconds.
    pub fn wait_running(&self, name: &str) -> Result<Link> {
        let what = format!("link {name} in {} to be running", self.name());
        poll_until(Duration::from_secs(5), &what, || {
            self.link(name).ok().filter(|link| link.running)
        })
    }

    /// Adds a permanent neighbour, or replaces the entry there is.
    ///
    /// # Errors
    /// As [`Namespace::set_up`].
    pub fn add_neighbour(&self, name: &str, address: IpAddr, mac: Mac) -> Result<()> {
        with_netlink(self, async |handle| {
            let index = link(&handle, name).await?.index;
            let request = handle
                .neighbours()
                .add(index, address)
                .link_layer_address(&mac);
            Ok(request.replace().execute().await?)
        })
        .with_context(|| format!("add neighbour {address} on {name} in {}", self.name()))
    }
}
