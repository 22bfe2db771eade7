//! A guest that goes first, and whose memory follows as it is needed.

use anyhow::Result;
use lab::vm::{Card, Way};

use super::Stage;

#[test]
fn a_busy_guest_loses_nothing() -> Result<()> {
    let stage = Stage::first()?;
    let mut session = stage.boot_busy(Card::Virtio)?;
    let plan = session.guest.plan().clone();
    let mut migrations = Vec::new();
    for to in [1, 0] {
        let migrated = session.guest.migrate(&stage.lab, to, Way::PostCopy)?;
        migrations.push((to, migrated));
        stage.wait_moves(&plan, migrations.len())?;
        session.goes_on()?;
        migrated.stay()?;
    }
    let account = stage.finish(session)?;
    stage.crossings(&plan, &account, &migrations).map(drop)
}
