//! The same move, or two moves, seen by two CPUs at once.

use std::{
    hint::spin_loop,
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, ensure};
use lab::{
    AttachedProgram, Verdict, poll_until,
    traffic::numbered::{Pace, Vms},
};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::bench::{Bench, DC1, DC2, DC3, FOR_EVER, IN_DATAPATH, LATER, SOON, probe, told, vm};

/// How often it is tried.
const MOVES: u16 = 400;

/// One CPU carries the move out, the other delivers, and one event tells of it.
#[test]
fn two_cpus_that_see_the_same_move_make_one() -> Result<()> {
    let options = ["--learn-in-datapath", "always", "--hold-down", FOR_EVER];
    let bench = Bench::start(&options)?;
    let addresses: Vec<_> = (0..MOVES)
        .map(|n| IpAddr::from([10, 1, (n / 200) as u8, 1 + (n % 200) as u8]))
        .collect();
    let program = bench.program(DC1)?;
    for address in &addresses {
        program.run(probe(*address, DC1).as_slice())?;
    }
    bench.wait_settled(&addresses)?;
    let frames: Vec<_> = addresses.iter().map(|vm| probe(*vm, DC2)).collect();
    let before = bench.agent.stats()?;
    let arrived = AtomicUsize::new(0);
    thread::scope(|scope| -> Result<()> {
        let threads = [0, 1].map(|cpu| {
            let (program, frames, arrived) = (bench.program(DC2), &frames, &arrived);
            scope.spawn(move || at_once(cpu, &program?, frames, arrived))
        });
        for thread in threads {
            thread.join().expect("a thread that does not panic")?;
        }
        Ok(())
    })?;
    let stats = bench.agent.stats()?;
    let moved = |name| stats.get(name) - before.get(name);
    let counted = ["moves", "moves_in_datapath", "misses", "late"].map(moved);
    let moves = u64::from(MOVES);
    assert_eq!(counted, [moves, moves, 0, 0]);
    assert_eq!(stats.faults(), []);
    let last = addresses.last().context("no addresses")?;
    poll_until(SOON, "the news", || {
        (bench.told(*last).ok()?.len() == 2).then_some(())
    })?;
    let flows = bench.agent.flows()?;
    for flow in &flows {
        assert_eq!(
            (&flow["site"], &flow["previous_site"]),
            (&"dc2".into(), &"dc1".into())
        );
    }
    assert_eq!(flows.len(), addresses.len());
    let events = bench.agent.events()?;
    for address in &addresses {
        let of_it = events
            .iter()
            .filter(|event| event["address"] == address.to_string());
        let kinds: Vec<_> = of_it.map(|event| &event["event"]).collect();
        assert_eq!(kinds, ["created", "moved"], "{address}");
    }
    Ok(())
}

/// Runs the program on frame after frame, each at the moment at which another CPU does.
fn at_once(
    cpu: usize,
    program: &AttachedProgram,
    frames: &[Vec<u8>],
    arrived: &AtomicUsize,
) -> Result<()> {
    let mut here = CpuSet::new();
    here.set(cpu)?;
    // On a machine with one CPU they take turns.
    let _ = sched_setaffinity(Pid::from_raw(0), &here);
    for (nth, frame) in frames.iter().enumerate() {
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < 2 * (nth + 1) {
            spin_loop();
        }
        let output = program.run(frame.as_slice());
        // The other one must not wait for ever.
        let verdict = match output {
            Ok(output) => output.verdict,
            Err(error) => {
                arrived.fetch_add(2 * frames.len(), Ordering::SeqCst);
                return Err(error);
            }
        };
        if verdict != Verdict::Redirect {
            arrived.fetch_add(2 * frames.len(), Ordering::SeqCst);
            anyhow::bail!("frame {nth}: {verdict:?}");
        }
    }
    Ok(())
}

/// Each address speaks at two sites at once, on two ports. Both are believed, one after the other,
/// whichever is first, and then the hold-down runs.
#[test]
fn two_moves_at_once_are_one_after_the_other() -> Result<()> {
    for learn in ["always", "when-agent-is-down"] {
        let options = ["--learn-in-datapath", learn, "--hold-down", FOR_EVER];
        let mut bench = Bench::start(&options)?;
        let vms: Vec<_> = (0..40).map(vm).collect();
        bench.bind(&vms)?;
        let mut others = Vms::another(&bench.lab.wan, "pt1", 1)?;
        let count = 25 * vms.len();
        let [dc2, dc3] = [DC2, DC3].map(|vlan| -> Vec<_> {
            let sender = |vm: &IpAddr| (*vm, vlan);
            vms.iter().map(sender).collect()
        });
        thread::scope(|scope| -> Result<()> {
            let there = scope.spawn(|| others.send(Pace::Steady, count, &dc3));
            bench.vms.send(Pace::Steady, count, &dc2)?;
            there.join().expect("a thread that does not panic")
        })?;
        bench.wait_for(2 * count, LATER)?;
        for vm in &vms {
            poll_until(SOON, &format!("the news of {vm}"), || {
                (bench.told(*vm).ok()?.len() == 2).then_some(())
            })?;
            let reason = if learn == "always" { IN_DATAPATH } else { "" };
            let (at, _) = bench.place(*vm)?;
            let by = if at == "dc2" { "dc3" } else { "dc2" };
            let mut news = bench.told(*vm)?;
            // The records of two CPUs may be in the ring in either order.
            news.sort_by_key(|told| told[1] != "dc1");
            let moved = |from, to| told(["moved", from, to, reason]);
            assert_eq!(news, [moved("dc1", by), moved(by, at.as_str())]);
        }
        let stats = bench.agent.stats()?;
        assert_eq!(stats.get("moves"), 2 * vms.len() as u64);
        ensure!(stats.faults().is_empty(), "{:?}", stats.faults());
        let received = bench.client.finish()?;
        bench.vms.check(&received)?;
        others.check(&received)?;
    }
    Ok(())
}
