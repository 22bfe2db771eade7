//! Order across the switch-over: frames that the datapath forwards by a new flow must not overtake
//! those of the same address that are still on their way through the agent.
//!
//! All of it holds as long as what arrives faster than the agent forwards fits into a ring.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::poll_until;
use nix::sys::signal::Signal;

use crate::{
    LATER, SOON, V4, V6,
    stream::{Bench, Pace, Sender},
};

const FRAMES: usize = 100_000;

#[test]
fn a_hundred_thousand_frames_back_to_back_across_a_move() -> Result<()> {
    for address in [V4, V6] {
        let mut bench = Bench::start(&[])?;
        bench.vms.send(Pace::Flood, FRAMES / 2, &[(address, 1)])?;
        bench.vms.send(Pace::Flood, FRAMES / 2, &[(address, 2)])?;
        bench.judge()?;
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_frames_while_the_datapath_takes_over() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    for vlan in [1, 2] {
        bench.vms.send(Pace::Flood, FRAMES / 10, &[(V4, vlan)])?;
        bench
            .vms
            .send(Pace::Steady, 4 * FRAMES / 10, &[(V4, vlan)])?;
    }
    bench.judge()
}

#[test]
fn a_hundred_thousand_frames_of_a_new_address() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    bench.vms.send(Pace::Flood, FRAMES, &[(V4, 1)])?;
    bench.judge()
}

#[test]
fn a_hundred_thousand_frames_among_those_of_twenty_others() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    // Every sixth frame is of another one of twenty; half of these move too.
    let senders = |vlan: u16| -> Vec<Sender> {
        (0..20)
            .flat_map(|n| {
                let other = IpAddr::from([10, 0, 0, 100 + n]);
                let theirs = if n % 2 == 0 { 1 } else { vlan };
                [[(V4, vlan); 5].as_slice(), &[(other, theirs)]].concat()
            })
            .collect()
    };
    for vlan in [1, 2] {
        bench
            .vms
            .send(Pace::Flood, FRAMES * 6 / 5 / 2, &senders(vlan))?;
    }
    bench.judge()
}

#[test]
fn frames_that_wait_for_a_stopped_agent_leave_first() -> Result<()> {
    // Or the datapath would go on by itself after a second, past those that wait.
    let mut bench = Bench::start(&["--learn-in-datapath", "never"])?;
    for vlan in [1, 2] {
        bench.agent.signal(Signal::SIGSTOP)?;
        bench.vms.send(Pace::Flood, 20_000, &[(V4, vlan)])?;
        bench.agent.signal(Signal::SIGCONT)?;
        bench.vms.send(Pace::Flood, 10_000, &[(V4, vlan)])?;
        bench.vms.send(Pace::Steady, 20_000, &[(V4, vlan)])?;
    }
    bench.judge()
}

/// So long that the datapath takes the agent for dead.
#[test]
fn an_agent_that_was_stopped_for_long_keeps_the_order_of_what_comes_then() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    bench.speak(V4, 1)?;
    bench.agent.signal(Signal::SIGSTOP)?;
    let stopped = Instant::now();
    poll_until(SOON, "the agent to seem dead", || {
        (stopped.elapsed() > Duration::from_millis(1500)).then_some(())
    })?;
    // It wakes up in the middle of a flood.
    let (vms, agent, switch) = (&mut bench.vms, &bench.agent, &bench.lab.switch);
    thread::scope(|scope| {
        let waker = scope.spawn(|| {
            poll_until(LATER, "the flood to begin", || {
                (switch.counters("t0").ok()?.rx_packets > 100).then_some(())
            })?;
            agent.signal(Signal::SIGCONT)
        });
        vms.send(Pace::Flood, FRAMES, &[(V4, 2), (V6, 1)])?;
        waker.join().expect("the waker does not panic")
    })?;
    bench.judge()
}

#[test]
fn frames_of_full_size_keep_their_order_too() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    // With the headers, exactly the MTU. 15 000 of them fit into a ring.
    bench.vms.payload = 1500 - 40 - 8;
    bench.vms.send(Pace::Flood, 7_500, &[(V6, 1)])?;
    bench.vms.send(Pace::Flood, 7_500, &[(V6, 2)])?;
    bench.judge()
}

#[test]
fn an_address_that_moves_a_hundred_times_keeps_its_order() -> Result<()> {
    let options = ["--hold-down", "0s", "--quarantine-moves", "1000"];
    let mut bench = Bench::start(&options)?;
    for round in 0..50 {
        for vlan in [1, 2] {
            // Sooner and later after the datapath has taken over, and before.
            bench.vms.send(Pace::Flood, 10 + 7 * round, &[(V4, vlan)])?;
            bench.vms.send(Pace::Steady, 40 * round, &[(V4, vlan)])?;
        }
    }
    let moves = bench.agent.stats()?.get("moves");
    ensure!(moves > 10, "it moved {moves} times only");
    bench.judge()
}
