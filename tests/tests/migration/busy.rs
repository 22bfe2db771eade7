//! A guest that sends all the time (first embodiment).

use std::time::Duration;

use anyhow::{Context, Result};
use lab::vm::Way;

use super::{Busy, Stage, median, stay};

/// What the network may add to the gap that the hypervisors and the guest make.
const LIMIT: Duration = Duration::from_millis(5);

#[test]
fn goes_there_and_back_three_times_and_nothing_is_lost() -> Result<()> {
    let stage = Stage::first()?;
    let mut busy = Busy::boot(&stage.lab)?;
    let plan = busy.guest.plan().clone();
    let mut migrations = Vec::new();
    for to in [1, 0, 1, 0, 1, 0] {
        let migrated = busy.guest.migrate(&stage.lab, to, Way::PreCopy)?;
        migrations.push((to, migrated));
        stage.wait_moves(&plan, migrations.len())?;
        busy.goes_on()?;
        stay(&migrated)?;
    }
    let account = busy.finish()?;
    println!("{} frames delivered", account.all_delivered()?);
    stage.no_faults()?;
    let crossings = stage.crossings(&plan, &account, &migrations)?;
    let mut added = Vec::new();
    let mut beyond = Vec::new();
    for crossing in &crossings {
        let gaps = crossing.gaps.context("it sent before and after")?;
        beyond.push(gaps.client.saturating_sub(crossing.downtime));
        added.push(gaps.client.saturating_sub(gaps.switch));
    }
    println!(
        "median: gap at the client beyond the downtime {:.2?}, of which the network's part {:.3?}",
        median(beyond),
        median(added.clone())
    );
    assert!(median(added.clone()) <= LIMIT, "{added:?}");
    Ok(())
}
