//! Addresses, and moving an interface with them.

use std::{
    net::IpAddr,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};

use super::{link::link, netlink::with_netlink};
use crate::{Namespace, poll_until};

impl Namespace {
    /// Adds an address and waits until it works; the prefix becomes an on-link route by itself.
    ///
    /// # Errors
    /// As [`Namespace::set_up`], and when the address is there already.
    pub fn add_address(&self, name: &str, address: IpAddr, prefix: u8) -> Result<()> {
        with_netlink(self, async |handle| {
            let index = link(&handle, name).await?.index;
            Ok(handle
                .address()
                .add(index, address, prefix)
                .execute()
                .await?)
        })
        .with_context(|| format!("add {address}/{prefix} to {name} in {}", self.name()))?;
        // The kernel joins the address's multicast group a little later; before that, it does
        // not hear anybody who looks for it.
        let what = format!("{address} on {name} in {} to be usable", self.name());
        poll_until(Duration::from_secs(5), &what, || {
            let addresses = self.given_addresses(name).ok()?;
            let usable = |message: &AddressMessage| {
                address_of(message) == Some(address)
                    && !message.header.flags.contains(AddressHeaderFlags::Tentative)
            };
            addresses.iter().any(usable).then_some(())
        })
    }

    /// The addresses of a link that somebody gave it, without the kernel's link-local ones.
    ///
    /// # Errors
    /// As [`Namespace::set_up`].
    pub fn addresses(&self, name: &str) -> Result<Vec<(IpAddr, u8)>> {
        let messages = self.given_addresses(name)?;
        let address =
            |message: &AddressMessage| Some((address_of(message)?, message.header.prefix_len));
        Ok(messages.iter().filter_map(address).collect())
    }

    fn given_addresses(&self, name: &str) -> Result<Vec<AddressMessage>> {
        with_netlink(self, async |handle| {
            let index = link(&handle, name).await?.index;
            let request = handle.address().get().set_link_index_filter(index);
            let mut messages: Vec<_> = request.execute().try_collect().await?;
            messages.retain(|message| message.header.scope != AddressScope::Link);
            Ok(messages)
        })
        .with_context(|| format!("list the addresses of {name} in {}", self.name()))
    }
}

fn address_of(message: &AddressMessage) -> Option<IpAddr> {
    message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
}

/// Moves a link to another namespace, up, with the MAC, MTU, offloads and addresses it had.
///
/// The kernel takes the link down, out of its bridge and off its addresses on the way; MAC, MTU
/// and offloads survive by themselves, its traffic control filters do not.
///
/// # Errors
/// When there is no such link, or its name is taken at the destination.
pub fn move_interface(name: &str, from: &Namespace, to: &Namespace) -> Result<()> {
    let addresses = from.addresses(name)?;
    let destination = to.as_fd().as_raw_fd();
    from.change(name, "change the namespace", |link| {
        link.setns_by_fd(destination)
    })?;
    if addresses.iter().any(|(address, _)| address.is_ipv6()) {
        to.enable_ipv6(name)?;
    }
    for (address, prefix) in addresses {
        to.add_address(name, address, prefix)?;
    }
    to.set_up(name)
}
