//! Migrations that fail half-way: the guest goes on where it was, and nobody takes notice.

use anyhow::{Result, ensure};
use lab::vm::{Migration, Way, moves};

use super::{Busy, Stage};

/// So many bytes a second: the guest's memory takes half a minute.
const SLOWLY: u64 = 2 << 20;

#[test]
fn a_migration_that_was_given_up_or_cut_off_moves_nothing() -> Result<()> {
    let stage = Stage::first()?;
    let mut busy = Busy::boot(&stage.lab)?;
    let plan = busy.guest.plan().clone();
    let address = plan.ipv4.to_string();
    for fail in [Migration::cancel, Migration::kill] {
        let migration = busy.guest.prepare(&stage.lab, 1, Way::PreCopy)?;
        migration.start(&busy.guest, Some(SLOWLY))?;
        busy.goes_on()?;
        fail(migration, &busy.guest)?;
        busy.goes_on()?;
        ensure!(
            busy.guest.runs()?,
            "it stands still: {}",
            busy.guest.machine().said()
        );
        let moved = moves(stage.switch(), &address)?;
        ensure!(moved.is_empty(), "{moved:?}");
        let flow = stage.switch().flow(&address)?;
        ensure!(
            flow.is_some_and(|flow| flow["site"] == "dc1"),
            "it is not at dc1"
        );
    }
    // And then one that succeeds.
    let migrated = busy.guest.migrate(&stage.lab, 1, Way::PreCopy)?;
    stage.wait_moves(&plan, 1)?;
    busy.goes_on()?;
    let account = busy.finish()?;
    println!("{} frames delivered", account.all_delivered()?);
    stage.no_faults()?;
    stage.crossings(&plan, &account, &[(1, migrated)])?;
    Ok(())
}
