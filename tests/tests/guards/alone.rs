//! Moves while no agent runs: the datapath learns them, and the returning agent tells of them.

use std::{net::IpAddr, thread, time::Duration};

use anyhow::{Result, ensure};
use lab::{poll_until, traffic::numbered::Pace};

use crate::bench::{Bench, DC1, DC2, FOR_EVER, IN_DATAPATH, LATER, SOON, told, vm};

#[test]
fn ten_vms_move_while_the_agent_is_dead() -> Result<()> {
    let mut bench = Bench::start(&["--hold-down", FOR_EVER])?;
    let vms: Vec<_> = (0..10).map(vm).collect();
    bench.bind(&vms)?;
    bench.wait_alone()?;
    let before = bench.agent.stats()?;
    let senders: Vec<_> = vms.iter().map(|vm| (*vm, DC2)).collect();
    bench.vms.send(Pace::Flood, 1000, &senders)?;
    // While nobody runs.
    bench.wait_arrived(LATER)?;
    let orphaned = bench.agent.stats()?;
    assert_eq!(orphaned.agent(), (false, None));
    let moved = |name| orphaned.get(name) - before.get(name);
    assert_eq!(moved("moves_in_datapath"), 10);
    assert_eq!((moved("misses"), moved("ports/t0/rx_packets")), (0, 1000));
    for vm in &vms {
        bench.wait_site(*vm, "dc2")?;
    }
    // What comes late from where they were is late.
    let stragglers: Vec<_> = vms.iter().map(|vm| (*vm, DC1)).collect();
    bench.vms.send(Pace::Flood, 20, &stragglers)?;
    bench.wait_arrived(SOON)?;

    let bench = bench.restart()?;
    for vm in &vms {
        let expected = [told(["moved", "dc1", "dc2", IN_DATAPATH])];
        poll_until(SOON, &format!("the news of {vm}"), || {
            (bench.told(*vm).ok()?.len() == expected.len()).then_some(())
        })?;
        assert_eq!(bench.told(*vm)?, expected);
        let flow = bench.agent.flow(&vm.to_string())?.unwrap_or_default();
        assert_eq!(flow["previous_site"], "dc1");
    }
    let stats = bench.agent.stats()?;
    // And the scout, which told that the datapath was on its own.
    let in_all = ["moves", "moves_in_datapath", "created", "late"].map(|name| stats.get(name));
    assert_eq!(in_all, [11, 11, 11, 20]);
    let kinds: Vec<_> = bench.agent.events()?;
    let kinds = kinds.iter().filter(|event| event["evidence"] != "operator");
    assert_eq!(kinds.count(), 11);
    bench.finish()
}

/// One after the other, from the first second on, in which the datapath still takes the agent for
/// alive: what it leaves to that until then waits in the ring.
#[test]
fn ten_vms_move_while_the_agent_is_dead_for_ten_seconds() -> Result<()> {
    let mut bench = Bench::start(&["--hold-down", FOR_EVER])?;
    let vms: Vec<_> = (0..10).map(vm).collect();
    bench.bind(&vms)?;
    let before = bench.agent.stats()?;
    bench.agent.kill9()?;
    for count in 1..=vms.len() {
        let (gone, to_go) = vms.split_at(count);
        let at = |vms: &[IpAddr], vlan| vms.iter().map(|vm| (*vm, vlan)).collect::<Vec<_>>();
        let senders = [at(gone, DC2), at(to_go, DC1)].concat();
        bench.vms.send(Pace::Steady, 50 * vms.len(), &senders)?;
        // This is the pace of the moves, not the wait for a condition.
        thread::sleep(Duration::from_secs(1));
    }
    let orphaned = bench.agent.stats()?;
    let moved = |name| orphaned.get(name) - before.get(name);
    let waiting = moved("misses");
    assert_eq!(moved("moves_in_datapath"), 10);
    let sent = bench.vms.sent() as u64;
    assert_eq!(moved("ports/t0/rx_packets"), sent);
    assert_eq!(moved("ports/c0/tx_packets") + waiting, sent);

    let bench = bench.restart()?;
    bench.wait_arrived(LATER)?;
    for vm in &vms {
        let expected = [told(["moved", "dc1", "dc2", IN_DATAPATH])];
        poll_until(SOON, &format!("the news of {vm}"), || {
            (!bench.told(*vm).ok()?.is_empty()).then_some(())
        })?;
        assert_eq!(bench.told(*vm)?, expected);
        assert_eq!(bench.place(*vm)?.0, "dc2");
    }
    let stats = bench.agent.stats()?;
    assert_eq!(stats.faults(), []);
    assert_eq!((stats.get("moves"), stats.get("late")), (10, 0));
    // All is there, once, and in order, but for what has waited ten seconds.
    let reports = bench.vms.reports(&bench.client.finish()?)?;
    for (sender, report) in &reports {
        ensure!(
            (report.lost, report.duplicated) == (0, 0),
            "{sender:?}: {report}"
        );
    }
    let reordered: u64 = reports.values().map(|report| report.reordered).sum();
    assert_eq!(reordered, waiting);
    Ok(())
}

#[test]
fn a_vm_that_moves_too_often_is_held_without_an_agent() -> Result<()> {
    let mut bench = Bench::start(&["--hold-down", "0s"])?;
    bench.bind(&[vm(0)])?;
    bench.wait_alone()?;
    for vlan in [DC2, DC1, DC2, DC1] {
        bench.speak(vm(0), vlan)?;
        bench.wait_site(vm(0), &format!("dc{vlan}"))?;
    }
    let before = bench.agent.stats()?;
    let arrived = bench.vms.sent();
    bench.vms.send(Pace::Flood, 3, &[(vm(0), DC2)])?;
    poll_until(SOON, "three frames to be refused", || {
        let stats = bench.agent.stats().ok()?;
        let refused = stats.get("drops/refused") - before.get("drops/refused");
        (refused == 3).then_some(())
    })?;
    let held = ("dc1".to_owned(), "quarantined".to_owned());
    assert_eq!(bench.place(vm(0))?, held);
    // Where it is held, it is served.
    bench.vms.send(Pace::Flood, 1, &[(vm(0), DC1)])?;
    bench.wait_for(arrived + 1, SOON)?;

    let mut bench = bench.restart()?;
    poll_until(SOON, "the news", || {
        (bench.told(vm(0)).ok()?.len() == 5).then_some(())
    })?;
    let moved = |from, to| told(["moved", from, to, IN_DATAPATH]);
    assert_eq!(
        bench.told(vm(0))?,
        [
            moved("dc1", "dc2"),
            moved("dc2", "dc1"),
            moved("dc1", "dc2"),
            moved("dc2", "dc1"),
            told(["quarantined", "dc1", "dc2", IN_DATAPATH]),
        ]
    );
    let stats = bench.agent.stats()?;
    assert_eq!((stats.get("moves"), stats.get("moves_in_datapath")), (5, 5));
    // The agent holds it, until the operator lets it go.
    assert_eq!(bench.place(vm(0))?, held);
    bench.refused(vm(0), DC2, "quarantined", 1)?;
    let address = vm(0).to_string();
    bench.agent.cli_ok(&["release", &address])?;
    bench.vms.send(Pace::Flood, 1, &[(vm(0), DC2)])?;
    bench.wait_site(vm(0), "dc2")?;
    bench.wait_for(arrived + 2, SOON)?;
    ensure!(bench.agent.stats()?.get("misses_lost") == 0);
    Ok(())
}

#[test]
fn a_quarantine_by_the_datapath_ends_by_itself() -> Result<()> {
    let options = ["--hold-down", "0s", "--quarantine-time", "1s"];
    let mut bench = Bench::start(&[&options[..], &["--quarantine-moves", "2"]].concat())?;
    bench.bind(&[vm(0)])?;
    bench.wait_alone()?;
    bench.speak(vm(0), DC2)?;
    bench.vms.send(Pace::Flood, 1, &[(vm(0), DC1)])?;
    poll_until(SOON, "it to be held", || {
        (bench.place(vm(0)).ok()?.1 == "quarantined").then_some(())
    })?;
    // Nobody runs who could end it, and yet it ends.
    poll_until(SOON, "it to move", || {
        let sent = bench.vms.send(Pace::Flood, 1, &[(vm(0), DC1)]);
        let place = sent.and_then(|()| bench.place(vm(0)));
        place
            .map(|(site, _)| (site == "dc1").then_some(()))
            .transpose()
    })??;
    assert_eq!(bench.place(vm(0))?.1, "learned");
    Ok(())
}
