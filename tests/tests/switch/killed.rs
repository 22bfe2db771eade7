//! The agent killed while it has something to learn: what is in the ring waits for the next one.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
};

use anyhow::{Result, ensure};
use lab::{Agent, Namespace, poll_until};
use serde_json::Value;

use crate::{
    LATER, RUN, SOON, V4, V6,
    crash::restart,
    stream::{Bench, Pace},
};

/// A stretch of a stream.
const PART: usize = 500;
/// What an agent may have in its hands: as many misses as it reads in one turn.
const IN_HAND: u64 = 256;

/// An address that tells by its moves how far an agent is.
const MARKER_BYTES: [u8; 4] = [10, 2, 0, 1];
const MARKER: IpAddr = IpAddr::V4(Ipv4Addr::from_octets(MARKER_BYTES));

/// The datapath leaves every move to the agent.
const BY_AGENT: [&str; 2] = ["--learn-in-datapath", "never"];

#[test]
fn between_a_miss_and_the_move_it_asks_for() -> Result<()> {
    for address in [V4, V6] {
        let mut bench = Bench::start(&BY_AGENT)?;
        bench.vms.send(Pace::Flood, PART, &[(address, 1)])?;
        bench.settle()?;
        let bench = killed_before_it_learns(bench, &BY_AGENT, address, 2)?;
        let kinds = kinds(&bench.agent)?;
        assert_eq!(kinds, ["moved"], "the last agent's events went with it");
        let stats = bench.agent.stats()?;
        assert_eq!((stats.get("created"), stats.get("moves")), (1, 1));
        assert_eq!(stats.get("moves_in_datapath"), 0);
        bench.judge()?;
    }
    Ok(())
}

#[test]
fn between_the_first_frame_of_an_address_and_its_binding() -> Result<()> {
    for options in [&[][..], &BY_AGENT] {
        for address in [V4, V6] {
            let bench = Bench::start(options)?;
            let bench = killed_before_it_learns(bench, options, address, 1)?;
            assert_eq!(kinds(&bench.agent)?, ["created"]);
            let stats = bench.agent.stats()?;
            assert_eq!((stats.get("created"), stats.get("moves")), (1, 0));
            bench.judge()?;
        }
    }
    Ok(())
}

/// An address speaks from a VLAN while the agent is stopped, goes on when that is killed, and once
/// more when the next one is there, which has read what is in the ring.
fn killed_before_it_learns(
    mut bench: Bench,
    options: &[&str],
    address: IpAddr,
    vlan: u16,
) -> Result<Bench> {
    let before = bench.site(address)?;
    let misses = bench.agent.stats()?.get("misses");
    bench.agent.stop()?;
    bench.vms.send(Pace::Flood, PART, &[(address, vlan)])?;
    bench.agent.kill9()?;
    wait_misses(&bench.agent, misses + PART as u64)?;
    bench.vms.send(Pace::Flood, PART, &[(address, vlan)])?;
    wait_misses(&bench.agent, misses + 2 * PART as u64)?;
    assert_eq!(bench.site(address)?, before, "nobody has learned");

    bench.agent = restart(bench.agent, &[&RUN, options].concat())?;
    bench.vms.send(Pace::Flood, PART, &[(address, vlan)])?;
    bench.vms.send(Pace::Steady, PART, &[(address, vlan)])?;
    bench.client.wait_for(bench.vms.sent(), SOON)?;
    bench.wait_site(address, &format!("dc{vlan}"))?;
    Ok(bench)
}

fn wait_misses(agent: &Agent, count: u64) -> Result<()> {
    poll_until(SOON, &format!("{count} misses"), || {
        (agent.stats().ok()?.get("misses") == count).then_some(())
    })
}

/// What happened, by the events.
fn kinds(agent: &Agent) -> Result<Vec<Value>> {
    let events = agent.events()?;
    Ok(events.iter().map(|event| event["event"].clone()).collect())
}

/// Wherever it is killed: of what the kernel has, nothing is lost and nothing comes twice. What the
/// agent had read and not sent yet goes with it.
#[test]
fn in_the_middle_of_its_work() -> Result<()> {
    const KILLS: usize = 12;
    let options = ["--hold-down", "0s", "--quarantine-moves", "1000"];
    let options = [&RUN[..], &BY_AGENT, &options].concat();
    let mut bench = Bench::start(&options[RUN.len()..])?;
    for address in [V4, MARKER] {
        let bind = ["bind", &address.to_string(), "--site", "dc2"];
        bench.agent.cli_ok(&bind)?;
    }
    for round in 0..KILLS {
        let vlan = 1 + round as u16 % 2;
        let (vms, agent, switch) = (&mut bench.vms, &mut bench.agent, &bench.lab.switch);
        // Soon after the move, and later and later.
        let till = came_in(switch)? + 1 + 150 * round as u64;
        thread::scope(|scope| -> Result<()> {
            let killer = scope.spawn(|| -> Result<()> {
                poll_until(LATER, "so many frames to come in", || {
                    (came_in(switch).ok()? >= till).then_some(())
                })?;
                agent.kill9()
            });
            vms.send(Pace::Flood, 4 * PART, &[(V4, vlan)])?;
            killer.join().expect("the killer does not panic")
        })?;
        bench.agent = restart(bench.agent, &options)?;
        bench.vms.send(Pace::Flood, PART, &[(V4, vlan)])?;
        // Another address that moves: its frame leaves behind all that were there before.
        bench.vms.send(Pace::Flood, 1, &[(MARKER, vlan)])?;
        let from_marker = |frame: &[u8]| frame.get(26..30) == Some(&MARKER_BYTES);
        poll_until(LATER, "the marker", || {
            (bench.client.count(from_marker) == round + 1).then_some(())
        })?;
        bench.wait_site(V4, &format!("dc{vlan}"))?;
    }
    let stats = bench.agent.stats()?;
    assert_eq!(stats.drops(), []);
    assert_eq!(stats.get("ports/t0/rx_packets"), bench.vms.sent() as u64);
    let overtaken = stats.get("handover_overtaken");
    let reports = bench.vms.reports(&bench.client.finish()?)?;
    let sum = |of: fn(&lab::traffic::UdpReport) -> u64| reports.values().map(of).sum::<u64>();
    let lost = sum(|report| report.lost);
    ensure!(lost <= KILLS as u64 * IN_HAND, "{lost} frames are lost");
    assert_eq!(sum(|report| report.duplicated), 0);
    // A frame that could not queue up, as nobody was there for a second, is counted as such.
    let reordered = sum(|report| report.reordered);
    ensure!(overtaken > 0 || reordered == 0, "{reordered} reordered");
    println!("{KILLS} kills: {lost} frames lost in hand, {overtaken} overtaken");
    Ok(())
}

/// The frames that have come in at the trunk.
fn came_in(switch: &Namespace) -> Result<u64> {
    Ok(switch.counters("t0")?.rx_packets)
}
