//! Moves that never ask the agent.

use anyhow::Result;
use lab::{poll_until, traffic::numbered::Pace};

use crate::bench::{Bench, DC1, DC2, FOR_EVER, IN_DATAPATH, LATER, SOON, told, vm};

const ALWAYS: [&str; 2] = ["--learn-in-datapath", "always"];
const FRAMES: usize = 100_000;

#[test]
fn a_move_costs_no_miss_and_keeps_the_order() -> Result<()> {
    for vm in [vm(0), vm(1)] {
        let mut bench = Bench::start(&[&ALWAYS[..], &["--hold-down", FOR_EVER]].concat())?;
        bench.bind(&[vm])?;
        for vlan in [DC1, DC2] {
            bench.vms.send(Pace::Flood, FRAMES / 2, &[(vm, vlan)])?;
        }
        bench.wait_arrived(LATER)?;
        let stats = bench.agent.stats()?;
        let counted = ["misses", "moves", "moves_in_datapath", "late"].map(|name| stats.get(name));
        assert_eq!(counted, [0, 1, 1, 0]);
        poll_until(SOON, "the news", || {
            (!bench.told(vm).ok()?.is_empty()).then_some(())
        })?;
        let expected = [told(["moved", "dc1", "dc2", IN_DATAPATH])];
        assert_eq!(bench.told(vm)?, expected);
        bench.finish()?;
    }
    Ok(())
}

/// The agent has the frames of a new address, and those behind them, until they have all left.
#[test]
fn a_new_address_that_moves_at_once_keeps_its_order() -> Result<()> {
    let mut bench = Bench::start(&[&ALWAYS[..], &["--hold-down", FOR_EVER]].concat())?;
    let at = |vlan| [(vm(0), vlan); FRAMES / 5];
    let senders = [at(DC1), at(DC2)].concat();
    bench.vms.send(Pace::Flood, senders.len(), &senders)?;
    bench.wait_arrived(LATER)?;
    let stats = bench.agent.stats()?;
    assert_eq!((stats.get("created"), stats.get("moves")), (1, 1));
    bench.finish()
}

#[test]
fn a_vm_that_moves_often_keeps_its_order() -> Result<()> {
    let options = ["--hold-down", "0s", "--quarantine-moves", "1000"];
    let mut bench = Bench::start(&[&ALWAYS[..], &options].concat())?;
    bench.bind(&[vm(0)])?;
    for round in 0..50 {
        for vlan in [DC2, DC1] {
            bench
                .vms
                .send(Pace::Flood, 10 + 7 * round, &[(vm(0), vlan)])?;
        }
    }
    bench.wait_arrived(LATER)?;
    let stats = bench.agent.stats()?;
    let counted = ["misses", "moves", "moves_in_datapath"].map(|name| stats.get(name));
    assert_eq!(counted, [0, 100, 100]);
    poll_until(SOON, "the news", || {
        (bench.told(vm(0)).ok()?.len() == 100).then_some(())
    })?;
    bench.finish()
}
