//! Migrations that fail half-way: the guest goes on where it was, and nobody takes notice.

use anyhow::{Result, ensure};
use lab::vm::{Card, Migration, Way, moves};

use super::Stage;

/// So many bytes a second: the guest's memory takes half a minute.
const SLOWLY: u64 = 2 << 20;

#[test]
fn a_migration_that_was_given_up_or_cut_off_moves_nothing() -> Result<()> {
    let stage = Stage::first()?;
    let mut session = stage.boot_busy(Card::Virtio)?;
    let plan = session.guest.plan().clone();
    let address = plan.ipv4.to_string();
    for fail in [Migration::cancel, Migration::kill] {
        let migration = session.guest.prepare(&stage.lab, 1, Way::PreCopy)?;
        migration.start(&session.guest, Some(SLOWLY))?;
        session.goes_on()?;
        fail(migration, &session.guest)?;
        session.goes_on()?;
        let guest = &session.guest;
        ensure!(guest.runs()?, "it stands still: {}", guest.machine().said());
        let moved = moves(stage.switch(), &address)?;
        ensure!(moved.is_empty(), "{moved:?}");
        stage.wait_site(&address, "dc1")?;
    }
    // And then one that succeeds.
    let migrated = session.guest.migrate(&stage.lab, 1, Way::PreCopy)?;
    stage.wait_moves(&plan, 1)?;
    session.goes_on()?;
    let account = stage.finish(session)?;
    stage.crossings(&plan, &account, &[(1, migrated)]).map(drop)
}
