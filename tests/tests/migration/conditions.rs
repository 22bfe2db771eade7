//! Bad conditions: what must still hold.

use anyhow::{Context, Result, ensure};
use lab::vm::{Card, Ears, Kind, Plan, Way};

use super::{Stage, answers};

/// So many bytes a second: a migration has a beginning, a middle and an end.
const GENTLY: u64 = 16 << 20;

/// As with libvirt's networks: the hypervisor's first announcement is lost then. The next one moves an idle
/// guest, or its own if that is sooner.
#[test]
fn a_tap_that_joins_the_lan_late_delays_an_idle_guest_by_one_announcement() -> Result<()> {
    let stage = Stage::second()?;
    let plan = Plan::vm13(&["--echo", "7"]);
    let mut guest = stage.boot(&plan)?;
    answers(&stage.lab, &plan)?;
    let ears = Ears::open(&stage.lab, plan.mac)?;
    let migration = guest.prepare_late(&stage.lab, 1)?;
    migration.start(&guest, None)?;
    let migrated = migration.finish(&mut guest, &stage.lab)?;
    stage.wait_moves(&plan, 1)?;
    answers(&stage.lab, &plan).context("ask it at its new place")?;
    migrated.stay()?;
    guest.pause()?;
    let account = ears.close()?;
    stage.judge(&account)?;
    stage.crossings(&plan, &account, &[(1, migrated)])?;
    let told = account.news(1, &migrated);
    let rarps = told.filter(|heard| heard.kind == Kind::Rarp).count();
    ensure!(
        rarps == 4,
        "{rarps} of five announcements reached the switch"
    );
    Ok(())
}

/// What a busy guest sends is enough (the first embodiment to the letter).
#[test]
fn a_busy_guest_whose_announcements_are_lost_moves_by_its_data() -> Result<()> {
    let stage = Stage::first()?;
    let mut session = stage.boot_busy(Card::VirtioSilent)?;
    let plan = session.guest.plan().clone();
    stage.lab.lose_rarp(1)?;
    let migrated = session.guest.migrate(&stage.lab, 1, Way::PreCopy)?;
    stage.wait_moves(&plan, 1)?;
    session.goes_on()?;
    let account = stage.finish(session)?;
    let crossing = stage.crossings(&plan, &account, &[(1, migrated)])?[0];
    // Whatever it says first: an IP packet, or a question where the client is.
    ensure!(crossing.trigger.0 >= Kind::Data, "{crossing}");
    Ok(())
}

/// The next agent adopts what there is, and what happens while there is none is the datapath's: it forwards,
/// and moves the guest by its data.
#[test]
fn the_switchs_agent_is_killed_in_the_middle() -> Result<()> {
    let mut stage = Stage::first()?;
    let mut session = stage.boot_busy(Card::Virtio)?;
    let address = session.guest.plan().ipv4.to_string();

    // There: killed and started again while the guest's memory is on its way.
    let migration = session.guest.prepare(&stage.lab, 1, Way::PreCopy)?;
    migration.start(&session.guest, Some(GENTLY))?;
    stage.switch = stage.switch.kill_and_restart()?;
    let migrated = migration.finish(&mut session.guest, &stage.lab)?;
    session.goes_on()?;
    stage.wait_site(&address, "dc2")?;
    migrated.stay()?;

    // And back: killed, and started again only when the guest is through.
    let migration = session.guest.prepare(&stage.lab, 0, Way::PreCopy)?;
    migration.start(&session.guest, Some(GENTLY))?;
    stage.switch.agent.kill9()?;
    migration.finish(&mut session.guest, &stage.lab)?;
    session.goes_on().context("without an agent")?;
    stage.switch = stage.switch.kill_and_restart()?;
    session.goes_on().context("with an agent again")?;
    stage.wait_site(&address, "dc1")?;
    stage.finish(session).map(drop)
}

/// Its datapath goes on without it: the hypervisor's announcement reaches the switch all the same.
#[test]
fn the_new_places_gateway_is_killed_in_the_middle() -> Result<()> {
    let mut stage = Stage::second()?;
    let plan = Plan::vm13(&["--echo", "7"]);
    let mut guest = stage.boot(&plan)?;
    answers(&stage.lab, &plan)?;
    let ears = Ears::open(&stage.lab, plan.mac)?;
    let migration = guest.prepare(&stage.lab, 1, Way::PreCopy)?;
    migration.start(&guest, Some(GENTLY))?;
    let mut gateways = stage.gateways.take().context("there are gateways")?;
    gateways.kill9(1)?;
    let there = migration.finish(&mut guest, &stage.lab)?;
    stage.wait_moves(&plan, 1)?;
    answers(&stage.lab, &plan).context("ask it behind a gateway that was killed")?;
    there.stay()?;
    stage.gateways = Some(gateways.kill_and_restart()?);
    let back = guest.migrate(&stage.lab, 0, Way::PreCopy)?;
    stage.wait_moves(&plan, 2)?;
    answers(&stage.lab, &plan).context("ask it where it was at first")?;
    guest.pause()?;
    let account = ears.close()?;
    stage.judge(&account)?;
    for crossing in stage.crossings(&plan, &account, &[(1, there), (0, back)])? {
        ensure!(crossing.trigger.0 == Kind::Rarp, "{crossing}");
    }
    Ok(())
}
