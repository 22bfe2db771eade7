//! A guest that goes first, and whose memory follows as it is needed.

use anyhow::Result;
use lab::vm::Way;

use super::{Busy, Stage, stay};

#[test]
fn a_busy_guest_loses_nothing() -> Result<()> {
    let stage = Stage::first()?;
    let mut busy = Busy::boot(&stage.lab)?;
    let plan = busy.guest.plan().clone();
    let mut migrations = Vec::new();
    for to in [1, 0] {
        let migrated = busy.guest.migrate(&stage.lab, to, Way::PostCopy)?;
        migrations.push((to, migrated));
        stage.wait_moves(&plan, migrations.len())?;
        busy.goes_on()?;
        stay(&migrated)?;
    }
    let account = busy.finish()?;
    println!("{} frames delivered", account.all_delivered()?);
    stage.no_faults()?;
    stage.crossings(&plan, &account, &migrations)?;
    Ok(())
}
