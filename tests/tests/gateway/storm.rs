//! More announcements than anybody needs.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use lab::{RawSender, frame::Arp};

use crate::{SOON, Site, VM_IPV4, VM_MAC};

const TO: [&str; 2] = ["--announce-to", "224.0.0.1"];

#[test]
fn one_station_is_bounded() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let frame = Arp::announcement(VM_MAC, VM_IPV4).frame();
    RawSender::open(&site.vm.ns, "eth0")?.send_all([frame.as_slice(); 2000])?;
    // Each is counted once: heard, or above the limit.
    lab::poll_until(SOON, "all to be counted", || {
        let stats = site.stats().ok()?;
        let heard = stats["announcements"]["arp"].as_u64()?;
        let bound = stats["ignored"]["station-bound"].as_u64()?;
        (heard + bound == 2000 && heard >= 64).then_some(())
    })?;
    let stats = site.stats()?;
    ensure!(
        stats["ignored"]["station-bound"].as_u64() > Some(1000),
        "most were above the limit: {stats}"
    );
    assert_eq!(site.told(5)?[0].announcement, 1);
    let what = "an event of the storm";
    lab::poll_until(SOON, what, || {
        (!site.events("bounded").ok()?.is_empty()).then_some(())
    })?;
    // And all of them were carried.
    site.wait_for("/ports/lan/rx_packets", 2000)
}

#[test]
fn a_storm_of_stations_is_bounded_and_others_are_heard_after_it() -> Result<()> {
    let mut site = Site::start(&TO)?;
    let many = 6000_u32;
    let frames: Vec<_> = (0..many)
        .map(|n| {
            let [_, a, b, c] = n.to_be_bytes();
            let mac = [2, 0, 0, a, b, c];
            Arp::announcement(mac, Ipv4Addr::new(10, 1, b, c)).frame()
        })
        .collect();
    RawSender::open(&site.vm.ns, "eth0")?.send_all(frames.iter().map(Vec::as_slice))?;
    lab::poll_until(SOON, "all to be counted", || {
        let stats = site.stats().ok()?;
        let sum: u64 = [
            &stats["announcements"]["arp"],
            &stats["ignored"]["lan-bound"],
            &stats["ignored"]["notice-lost"],
        ]
        .into_iter()
        .filter_map(serde_json::Value::as_u64)
        .sum();
        (sum == u64::from(many)).then_some(())
    })?;
    let stats = site.stats()?;
    ensure!(
        stats["ignored"]["lan-bound"].as_u64() > Some(0),
        "some were above the limit: {stats}"
    );
    // The limit is one of the rate, so that the next one is heard.
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    site.trunk.expect(SOON, "the VM's learning packet", |got| {
        let told = crate::Told::read(&got.frame)?;
        (told.vm_mac == VM_MAC).then_some(())
    })
}
