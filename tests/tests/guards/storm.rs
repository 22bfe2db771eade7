//! One site's storm of spoofed sources, and the others.

use std::{
    collections::HashMap,
    hint::spin_loop,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::{
    RawSender,
    agent::Stats,
    poll_until,
    traffic::numbered::{Pace, Sender},
};

use crate::bench::{Bench, DC1, DC2, DC3, FOR_EVER, LATER, probe, vm};

/// The ring of newcomers has room for all that the site's limit lets through in so long, even if the
/// agent had no time for any of it.
const STORM: Duration = Duration::from_secs(1);
/// What is offered, if this machine can: so many frames each millisecond.
const BURST: (usize, Duration) = (500, Duration::from_millis(1));
/// VMs that stay where they are, and VMs that move while the storm lasts, one after the other.
const STAY: u8 = 10;
const GO: u8 = 100;
/// Frames of each VM from one move to the next.
const FRAMES: usize = 10;

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

/// The site of the storm may bind a few addresses only: most newcomers are refused.
#[test]
fn a_storm_at_one_site_costs_the_others_nothing() -> Result<()> {
    const ROOM: u64 = 500;
    let stats = storm(&["--max-flows-per-site", &ROOM.to_string()])?;
    assert_eq!(stats.get("created"), u64::from(STAY + GO) + ROOM);
    Ok(())
}

/// Each newcomer is bound and handed over, as long as the flow table has room.
#[test]
fn a_storm_that_fills_the_flow_table_costs_the_others_nothing() -> Result<()> {
    const ROOM: u64 = 1 << 14;
    let stats = storm(&["--max-flows", &ROOM.to_string()])?;
    assert_eq!(stats.get("created"), ROOM);
    Ok(())
}

/// VMs talk and move between two sites while another site storms. Returns what was counted.
fn storm(options: &[&str]) -> Result<Stats> {
    let always = ["--hold-down", FOR_EVER, "--allow", "dc3=12.0.0.0/8"];
    let mut bench = Bench::start(&[&always, options].concat())?;
    let vms: Vec<_> = (0..STAY + GO).map(vm).collect();
    bench.bind(&vms)?;
    let (stay, go) = vms.split_at(STAY.into());
    let frames = spoofed();
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let trunk = RawSender::open(&bench.lab.wan, "pt1")?;
    let (sent, took, moved) = thread::scope(|scope| -> Result<_> {
        let rain = scope.spawn(|| {
            let rained = rain(&trunk, &frames, &begun);
            over.store(true, Ordering::SeqCst);
            rained
        });
        poll_until(LATER, "the storm to begin", || {
            let begun = begun.load(Ordering::SeqCst) || over.load(Ordering::SeqCst);
            begun.then_some(())
        })?;
        let moved = move_all(&mut bench, stay, go, &over)?;
        let (sent, took) = rain.join().expect("a thread that does not panic")?;
        Ok((sent, took, moved))
    })?;
    bench.wait_arrived(LATER)?;
    wait_places(&bench, stay, go)?;
    let stats = settled(&bench, sent)?;
    let limited = judge(&stats, sent, took)?;
    assert_eq!(stats.get("moves"), go.len() as u64);
    println!(
        "{sent} spoofed frames in {took:?}: {limited:?}; {} newcomers bound; {moved} of {GO} moves \
         while they came, {}",
        stats.get("created") - vms.len() as u64,
        distribution(&bench)?
    );
    bench.vms.check(&bench.client.finish()?)?;
    Ok(stats)
}

/// Sends spoofed frames, and says how many and how long that took.
fn rain(trunk: &RawSender, frames: &[Vec<u8>], begun: &AtomicBool) -> Result<(u64, Duration)> {
    let (started, mut sent) = (Instant::now(), 0);
    let mut due = started;
    for burst in frames.chunks(BURST.0).cycle() {
        // Too short to sleep.
        while Instant::now() < due {
            spin_loop();
        }
        due += BURST.1;
        if started.elapsed() >= STORM {
            break;
        }
        trunk.send_all(burst.iter().map(Vec::as_slice))?;
        sent += burst.len() as u64;
        begun.store(true, Ordering::SeqCst);
    }
    Ok((sent, started.elapsed()))
}

/// Has all VMs talk and those move that are to, one after the other. Returns how many did before the
/// storm was over.
fn move_all(bench: &mut Bench, stay: &[IpAddr], go: &[IpAddr], over: &AtomicBool) -> Result<usize> {
    let at = |vms: &[IpAddr], vlan| -> Vec<Sender> { vms.iter().map(|vm| (*vm, vlan)).collect() };
    let mut moved = 0;
    for count in 1..=go.len() {
        moved += usize::from(!over.load(Ordering::SeqCst));
        let (gone, to_go) = go.split_at(count);
        let senders = [at(stay, DC1), at(gone, DC2), at(to_go, DC1)].concat();
        bench
            .vms
            .send(Pace::Steady, FRAMES * senders.len(), &senders)?;
    }
    Ok(moved)
}

/// Waits until each VM is bound to where it is. One look at the flow table for all of them, which is
/// large by now.
fn wait_places(bench: &Bench, stay: &[IpAddr], go: &[IpAddr]) -> Result<()> {
    poll_until(LATER, "all VMs to be bound to where they are", || {
        let flows = bench.agent.flows().ok()?;
        let place = |flow: &serde_json::Value| {
            let text = |name: &str| Some(flow[name].as_str()?.to_owned());
            Some((text("address")?, text("site")?))
        };
        let places: HashMap<_, _> = flows.iter().filter_map(place).collect();
        let is_at = |vm: &IpAddr, site| places.get(&vm.to_string()).is_some_and(|at| at == site);
        let all = stay.iter().all(|vm| is_at(vm, "dc1")) && go.iter().all(|vm| is_at(vm, "dc2"));
        all.then_some(())
    })
}

/// How long moves took from the frame's arrival to the new rules, as the agent's log has it: there are
/// more events of newcomers than it keeps.
fn distribution(bench: &Bench) -> Result<String> {
    let learn_us = |line: &str| -> Option<u64> {
        let (_, rest) = line.split_once("learn_us=")?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let log = bench.agent.stderr();
    let mut us: Vec<_> = log.lines().filter_map(learn_us).collect();
    us.sort_unstable();
    ensure!(
        us.len() == usize::from(GO),
        "the log has {} moves:\n{log}",
        us.len()
    );
    // The value that so many of a hundred do not exceed.
    let of_hundred = |n: usize| us[(us.len() * n).div_ceil(100) - 1];
    let within = us.iter().filter(|us| **us <= 10_000).count();
    Ok(format!(
        "learned within {} us (median), {} (90 of 100), {} (99 of 100), {} (all); {within} within 10 ms",
        of_hundred(50),
        of_hundred(90),
        of_hundred(99),
        of_hundred(100),
    ))
}

/// Every limit that has bitten is the storm's, and counted by site and reason. Returns which have.
fn judge(stats: &Stats, sent: u64, took: Duration) -> Result<Vec<(&'static str, u64)>> {
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
    Ok(limited)
}

/// The counters as soon as every frame is accounted for: it came out, was dropped, or was refused.
fn settled(bench: &Bench, spoofed: u64) -> Result<Stats> {
    let sent = bench.vms.sent() as u64 + spoofed;
    poll_until(LATER, "every frame to be accounted for", || {
        let stats = bench.agent.stats().ok()?;
        let refused = ["unauthorised", "site-full", "table-full"]
            .map(|why| stats.get(&format!("refused/{why}")));
        let drops: u64 = stats.drops().iter().map(|(_, count)| count).sum();
        let out = stats.get("ports/c0/tx_packets") + drops + refused.iter().sum::<u64>();
        let into = stats.get("ports/t0/rx_packets") + stats.get("ports/t1/rx_packets");
        (into >= sent && into == out).then_some(stats)
    })
}
