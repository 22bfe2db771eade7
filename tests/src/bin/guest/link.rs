//! The guest's interface.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use rtnetlink::{LinkUnspec, new_connection};

/// The only interface but `lo`: without udev it keeps the kernel's name for it.
const LINK: &str = "eth0";
const IPV4_PREFIX: u8 = 24;
const IPV6_PREFIX: u8 = 64;

/// Brings the interface up with both addresses, at once usable: nobody else has them. It asks for
/// no router, as there is none.
pub fn set_up(ipv4: Ipv4Addr, ipv6: Ipv6Addr) -> Result<()> {
    for (key, value) in [("accept_dad", "0"), ("router_solicitations", "0")] {
        let path = format!("/proc/sys/net/ipv6/conf/{LINK}/{key}");
        fs::write(&path, value).with_context(|| format!("write {value} to {path}"))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("start a runtime for netlink")?;
    runtime.block_on(async {
        let (connection, handle, _) = new_connection().context("open netlink")?;
        tokio::spawn(connection);
        for (name, addresses) in [
            ("lo", &[][..]),
            (
                LINK,
                &[
                    (IpAddr::V4(ipv4), IPV4_PREFIX),
                    (IpAddr::V6(ipv6), IPV6_PREFIX),
                ][..],
            ),
        ] {
            let mut found = handle.link().get().match_name(name.to_owned()).execute();
            let link = found
                .try_next()
                .await
                .with_context(|| format!("look up {name}"))?
                .with_context(|| format!("there is no {name}"))?;
            let index = link.header.index;
            let up = LinkUnspec::new_with_index(index).up().build();
            let up = handle.link().change(up).execute().await;
            up.with_context(|| format!("set {name} up"))?;
            for (address, prefix) in addresses {
                let add = handle.address().add(index, *address, *prefix);
                add.execute()
                    .await
                    .with_context(|| format!("add {address} to {name}"))?;
            }
        }
        Ok(())
    })
}
