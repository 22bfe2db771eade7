//! The announcements of a real QEMU, which needs no guest for them.

use std::time::Instant;

use anyhow::{Result, ensure};
use lab::{
    Capture, Tag,
    frame::{Arp, rarp, tagged},
    poll_until,
    vm::{Card, Plan},
};
use vm::{Cache, Qemu};

use crate::{
    SOON, Site, V4, VM_IPV4, VM_MAC,
    rarp::{TO, tells},
};

#[test]
fn are_passed_on_and_told() -> Result<()> {
    let qemu = Qemu::find(&Cache::of_workspace()?)?;
    for card in [Card::Virtio, Card::E1000] {
        let mut site = Site::start(&TO)?;
        let plan = Plan::vm13(&[]).with(card);
        ensure!(plan.mac == VM_MAC);
        // The VM was here before.
        site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
        site.told(5)?;
        let machine = plan.start_hollow(&qemu, &site.lab, 0)?;
        let trunk = Capture::start(&site.lab.wan, "w1")?;
        let asked = Instant::now();
        machine.announce()?;
        tells(&mut site, VM_MAC, &[V4])?;
        let passed_on = tagged(&[Tag::c(1)], &rarp(VM_MAC));
        let count = || trunk.count(|frame| frame == passed_on);
        poll_until(SOON, "five announcements", || (count() == 5).then_some(()))?;
        println!("{card:?}: told in {:?}", asked.elapsed());
        site.wait_for("/questions/asked", 0)?;
    }
    Ok(())
}
