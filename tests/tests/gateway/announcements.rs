//! Each form of announcement, and what it makes the gateway tell the switch.

use anyhow::Result;
use lab::frame::Arp;

use crate::{SOON, Site, VM_IPV4, VM_MAC};

#[test]
fn smoke() -> Result<()> {
    let mut site = Site::start(&["--announce-to", "224.0.0.1"])?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    for _ in 0..6 {
        let got = site.trunk.receive(SOON)?;
        println!("{:02x?}", got.map(|g| g.frame));
    }
    println!("{}", site.stats()?);
    println!("{}", site.gateway.cli_ok(&["events"])?);
    println!("{}", site.gateway.stderr());
    Ok(())
}
