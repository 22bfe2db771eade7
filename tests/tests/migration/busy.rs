//! A guest that sends all the time (first embodiment).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::vm::{Card, Way};

use super::{Stage, median};

/// What the network may add to the gap that the hypervisors make. The guest's own time to come to itself, of
/// some 20 ms where it is emulated, is told apart by what reaches the switch.
const LIMIT: Duration = Duration::from_millis(5);

#[test]
fn goes_there_and_back_three_times_and_nothing_is_lost() -> Result<()> {
    let stage = Stage::first()?;
    let mut session = stage.boot_busy(Card::Virtio)?;
    let plan = session.guest.plan().clone();
    let mut migrations = Vec::new();
    for to in [1, 0, 1, 0, 1, 0] {
        let migrated = session.guest.migrate(&stage.lab, to, Way::PreCopy)?;
        migrations.push((to, migrated));
        stage.wait_moves(&plan, migrations.len())?;
        session.goes_on()?;
        migrated.stay()?;
    }
    let account = stage.finish(session)?;
    let crossings = stage.crossings(&plan, &account, &migrations)?;
    let mut beyond = Vec::new();
    let mut added = Vec::new();
    let mut reachable = Vec::new();
    for crossing in &crossings {
        let gaps = crossing.gaps.context("it sent before and after")?;
        beyond.push(gaps.client.saturating_sub(crossing.downtime));
        added.push(gaps.added());
        reachable.push(crossing.reached.context("the client wrote to it")?);
    }
    let [beyond, added, reachable] = [beyond, added, reachable].map(median);
    println!(
        "medians: the gap at the client is {beyond:.2?} longer than the downtime; of that {added:.3?} is the \
         network's, the rest the guest's own; {reachable:.2?} after its resumption the client reaches it"
    );
    ensure!(added <= LIMIT, "{added:?}");
    Ok(())
}
