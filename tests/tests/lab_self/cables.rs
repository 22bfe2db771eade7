//! Namespaces, and the cables between them.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use anyhow::{Result, ensure};
use lab::{
    Host, Namespace,
    fig1::{CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC},
    net::{address::move_interface, ethtool::features, link::XdpMode, veth::RECIPE, xdp},
    poll_until,
    traffic::{ping, tcp::download},
    veth,
};

use crate::{LATER, SOON, VM_IPV4, VM_IPV6, VM_MAC};

#[test]
fn work_in_a_namespace_returns_and_panics_as_usual() -> Result<()> {
    let ns = Namespace::new("alone")?;
    let here = fs::read_link("/proc/thread-self/ns/net")?;
    let there = ns.run(|| fs::read_link("/proc/thread-self/ns/net"))?;
    assert_ne!(here, there);
    assert_eq!(there, PathBuf::from(format!("net:[{}]", ns.inode()?)));
    assert_eq!(
        fs::read_link("/proc/thread-self/ns/net")?,
        here,
        "the caller stays where it is"
    );
    let panic = catch_unwind(AssertUnwindSafe(|| ns.run(|| panic!("from inside"))));
    let panic = panic.expect_err("the panic reaches the caller");
    assert_eq!(panic.downcast_ref(), Some(&"from inside"));
    Ok(())
}

#[test]
fn a_dropped_namespace_takes_its_cables_along() -> Result<()> {
    let stays = Namespace::new("stays")?;
    let goes = Namespace::new("goes")?;
    veth((&stays, "a"), (&goes, "b"))?;
    drop(goes);
    poll_until(SOON, "the cable to vanish", || {
        stays.link("a").is_err().then_some(())
    })
}

#[test]
fn both_ends_of_a_cable_follow_the_recipe() -> Result<()> {
    let (a, b) = (Namespace::new("a")?, Namespace::new("b")?);
    veth((&a, "left", VM_MAC), (&b, "right", CLIENT_MAC))?;
    for (ns, name, mac) in [(&a, "left", VM_MAC), (&b, "right", CLIENT_MAC)] {
        let link = ns.link(name)?;
        assert_eq!((link.mac, link.mtu, link.running), (mac, 1500, true));
        let active = features(ns, name)?;
        for (feature, on) in RECIPE {
            assert_eq!(active.get(*feature), Some(on), "{feature} of {name}");
        }
    }
    Ok(())
}

#[test]
fn a_moved_interface_keeps_its_mac_addresses_and_offloads() -> Result<()> {
    let (a, b, c) = (
        Namespace::new("a")?,
        Namespace::new("b")?,
        Namespace::new("c")?,
    );
    veth((&a, "eth0", VM_MAC), (&c, "peer"))?;
    a.enable_ipv6("eth0")?;
    a.add_address("eth0", VM_IPV4.into(), 24)?;
    a.add_address("eth0", VM_IPV6.into(), 64)?;
    let (before, offloads) = (a.link("eth0")?, features(&a, "eth0")?);
    move_interface("eth0", &a, &b)?;
    let after = b.wait_running("eth0")?;
    assert_eq!((after.mac, after.mtu), (before.mac, before.mtu));
    let mut addresses = b.addresses("eth0")?;
    addresses.sort();
    assert_eq!(addresses, [(VM_IPV4.into(), 24), (VM_IPV6.into(), 64)]);
    assert_eq!(features(&b, "eth0")?, offloads);
    ensure!(
        a.link("eth0").is_err(),
        "eth0 is still in its old namespace"
    );
    Ok(())
}

/// Without the recipe, nothing arrives (no NAPI at the other end) or TCP does not (checksums).
#[test]
fn a_cable_carries_tcp_and_udp_through_an_xdp_redirect() -> Result<()> {
    let (near, middle, far) = (
        Namespace::new("near")?,
        Namespace::new("xdp")?,
        Namespace::new("far")?,
    );
    veth((&near, "eth0", CLIENT_MAC), (&middle, "left"))?;
    veth((&far, "eth0", VM_MAC), (&middle, "right"))?;
    xdp::redirect(&middle, "left", "right")?;
    xdp::redirect(&middle, "right", "left")?;
    assert_eq!(middle.link("left")?.xdp, Some(XdpMode::Native));
    let near = Host::new(near, "eth0", CLIENT_IPV4, CLIENT_IPV6)?;
    let far = Host::new(far, "eth0", VM_IPV4, VM_IPV6)?;
    for (client, server) in [(near.v4(4000), far.v4(80)), (near.v6(4000), far.v6(80))] {
        ping(&client, &server, SOON)?;
        download(&server, &client, 10_000_000, LATER)?;
        download(&client, &server, 10_000_000, LATER)?;
    }
    Ok(())
}
