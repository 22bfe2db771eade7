//! One site's storm of spoofed sources, and the others.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{
    RawSender, poll_until,
    traffic::numbered::{Pace, Sender},
};

use crate::bench::{Bench, DC1, DC2, DC3, FOR_EVER, LATER, probe, vm};

/// The miss ring has room for all that the site's limit lets through in so long, even if the agent
/// had no time for any of it.
const STORM: Duration = Duration::from_secs(2);
/// What the site of the storm may bind.
const ROOM: u64 = 500;

/// Frames from sources at random, every fourth of them from outside what the site may claim.
fn spoofed() -> Vec<Vec<u8>> {
    /// A linear congruential generator of full period, with Knuth's constants.
    fn next(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }
    let mut state = 1;
    let address = |n: u64| {
        let [.., b, c, d] = next(&mut state).to_be_bytes();
        let a = if n.is_multiple_of(4) { 11 } else { 12 };
        IpAddr::from([a, b, c, d])
    };
    (0..300_000)
        .map(address)
        .map(|from| probe(from, DC3))
        .collect()
}

#[test]
fn a_storm_at_one_site_costs_the_others_nothing() -> Result<()> {
    let room = ROOM.to_string();
    let mut bench = Bench::start(&[
        "--hold-down",
        FOR_EVER,
        "--allow",
        "dc3=12.0.0.0/8",
        "--max-flows-per-site",
        &room,
    ])?;
    let vms: Vec<_> = (0..20).map(vm).collect();
    bench.bind(&vms)?;
    // Half of them stay, half move one after the other while the storm lasts.
    let (stay, go) = vms.split_at(10);
    let at = |vms: &[IpAddr], vlan| -> Vec<Sender> { vms.iter().map(|vm| (*vm, vlan)).collect() };
    let storm = RawSender::open(&bench.lab.wan, "pt1")?;
    let frames = spoofed();
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (sent, took) = thread::scope(|scope| -> Result<_> {
        let storm = scope.spawn(|| -> Result<_> {
            let (started, mut sent) = (Instant::now(), 0);
            let mut parts = frames.chunks(500).cycle();
            let mut rain = || -> Result<()> {
                while started.elapsed() < STORM {
                    let part = parts.next().context("no frames")?;
                    storm.send_all(part.iter().map(Vec::as_slice))?;
                    sent += part.len();
                    begun.store(true, Ordering::SeqCst);
                }
                Ok(())
            };
            let rained = rain();
            over.store(true, Ordering::SeqCst);
            rained.map(|()| (sent as u64, started.elapsed()))
        });
        poll_until(LATER, "the storm to begin", || {
            let begun = begun.load(Ordering::SeqCst) || over.load(Ordering::SeqCst);
            begun.then_some(())
        })?;
        for moved in 1..=go.len() {
            let (gone, to_go) = go.split_at(moved);
            let senders = [at(stay, DC1), at(gone, DC2), at(to_go, DC1)].concat();
            bench
                .vms
                .send(Pace::Steady, 100 * senders.len(), &senders)?;
        }
        storm.join().expect("a thread that does not panic")
    })?;
    bench.wait_arrived(LATER)?;
    for vm in go {
        bench.wait_site(*vm, "dc2")?;
    }
    for vm in stay {
        assert_eq!(bench.place(*vm)?.0, "dc1");
    }

    let stats = settled(&bench, sent)?;
    // Every limit is the storm's.
    let mut limited = Vec::new();
    for limit in [
        "unauthorised",
        "refused",
        "miss-rate",
        "source-rate",
        "miss-lost",
    ] {
        let at = |site: &str| stats.get(&format!("sites/{site}/limited/{limit}"));
        assert_eq!((at("dc1"), at("dc2")), (0, 0), "{limit}");
        assert_eq!(at("dc3"), stats.get(&format!("drops/{limit}")), "{limit}");
        limited.push((limit, at("dc3")));
    }
    let drops = stats.drops();
    ensure!(drops.iter().all(|drop| limited.contains(drop)), "{drops:?}");
    assert_eq!(stats.get("misses_lost"), 0);
    assert_eq!(stats.get("handover_overtaken"), 0);
    // Every fourth frame, but for one a second.
    let samples = took.as_secs() + 2;
    let outside = sent / 4;
    let unauthorised = stats.get("drops/unauthorised");
    ensure!(
        (outside - samples..=outside).contains(&unauthorised),
        "{drops:?}"
    );
    assert_eq!(stats.get("created"), vms.len() as u64 + ROOM);
    assert_eq!(stats.get("moves"), go.len() as u64);

    let learn_us = ["count", "p50", "p99", "max"].map(|of| stats.get(&format!("learn_us/{of}")));
    println!(
        "{sent} spoofed frames in {took:?}: {limited:?}; created and moved within (count, median, \
         99 of 100, longest) {learn_us:?} us"
    );
    bench.vms.check(&bench.client.finish()?)
}

/// The counters as soon as every frame is accounted for: it came out, was dropped, or was refused.
fn settled(bench: &Bench, spoofed: u64) -> Result<lab::agent::Stats> {
    let sent = bench.vms.sent() as u64 + spoofed;
    poll_until(LATER, "every frame to be accounted for", || {
        let stats = bench.agent.stats().ok()?;
        let refused = ["unauthorised", "site-full"].map(|why| stats.get(&format!("refused/{why}")));
        let drops: u64 = stats.drops().iter().map(|(_, count)| count).sum();
        let out = stats.get("ports/c0/tx_packets") + drops + refused.iter().sum::<u64>();
        let into = stats.get("ports/t0/rx_packets") + stats.get("ports/t1/rx_packets");
        (into >= sent && into == out).then_some(stats)
    })
}
