//! Bad conditions: what must still hold.

use anyhow::{Context, Result, ensure};
use lab::vm::{Card, Kind, Plan, Way};

use super::{Busy, Stage, answers, boot, stay};

/// So many bytes a second: a migration has a beginning, a middle and an end.
const GENTLY: u64 = 16 << 20;

/// As with libvirt's networks: the hypervisor's first announcement is lost then. The next one moves an idle
/// guest, or its own if that is sooner.
#[test]
fn a_tap_that_joins_the_lan_late_delays_an_idle_guest_by_one_announcement() -> Result<()> {
    let stage = Stage::second()?;
    let plan = Plan::vm13(&["--echo", "7"]);
    let mut guest = boot(&stage.lab, &plan)?;
    answers(&stage.lab, &plan)?;
    let ears = stage.ears(&plan)?;
    let migration = guest.prepare_late(&stage.lab, 1)?;
    migration.start(&guest, None)?;
    let migrated = migration.finish(&mut guest, &stage.lab)?;
    stage.wait_moves(&plan, 1)?;
    answers(&stage.lab, &plan).context("ask it at its new place")?;
    stay(&migrated)?;
    guest.pause()?;
    let account = ears.close()?;
    account.all_delivered()?;
    stage.no_faults()?;
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
    let mut busy = Busy::boot_with(&stage.lab, Card::VirtioSilent)?;
    let plan = busy.guest.plan().clone();
    stage.lab.lose_rarp(1)?;
    let migrated = busy.guest.migrate(&stage.lab, 1, Way::PreCopy)?;
    stage.wait_moves(&plan, 1)?;
    busy.goes_on()?;
    let account = busy.finish()?;
    println!("{} frames delivered", account.all_delivered()?);
    stage.no_faults()?;
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
    let mut busy = Busy::boot(&stage.lab)?;
    let address = busy.guest.plan().ipv4.to_string();

    // There: killed and started again while the guest's memory is on its way.
    let migration = busy.guest.prepare(&stage.lab, 1, Way::PreCopy)?;
    migration.start(&busy.guest, Some(GENTLY))?;
    stage.switch = stage.switch.kill_and_restart()?;
    let migrated = migration.finish(&mut busy.guest, &stage.lab)?;
    busy.goes_on()?;
    stage.wait_site(&address, "dc2")?;
    stay(&migrated)?;

    // And back: killed, and started again only when the guest is through.
    let migration = busy.guest.prepare(&stage.lab, 0, Way::PreCopy)?;
    migration.start(&busy.guest, Some(GENTLY))?;
    stage.switch.agent.kill9()?;
    migration.finish(&mut busy.guest, &stage.lab)?;
    busy.goes_on().context("without an agent")?;
    stage.switch = stage.switch.kill_and_restart()?;
    busy.goes_on().context("with an agent again")?;
    stage.wait_site(&address, "dc1")?;
    let account = busy.finish()?;
    println!("{} frames delivered", account.all_delivered()?);
    stage.no_faults()
}

/// Its datapath goes on without it: the hypervisor's announcement reaches the switch all the same.
#[test]
fn the_new_places_gateway_is_killed_in_the_middle() -> Result<()> {
    let mut stage = Stage::second()?;
    let plan = Plan::vm13(&["--echo", "7"]);
    let mut guest = boot(&stage.lab, &plan)?;
    answers(&stage.lab, &plan)?;
    let ears = stage.ears(&plan)?;
    let migration = guest.prepare(&stage.lab, 1, Way::PreCopy)?;
    migration.start(&guest, Some(GENTLY))?;
    stage.gateways[1].agent.kill9()?;
    let there = migration.finish(&mut guest, &stage.lab)?;
    stage.wait_moves(&plan, 1)?;
    answers(&stage.lab, &plan).context("ask it behind a gateway that was killed")?;
    stay(&there)?;
    let gateway = stage.gateways.remove(1);
    stage.gateways.push(gateway.kill_and_restart()?);
    let back = guest.migrate(&stage.lab, 0, Way::PreCopy)?;
    stage.wait_moves(&plan, 2)?;
    answers(&stage.lab, &plan).context("ask it where it was at first")?;
    guest.pause()?;
    let account = ears.close()?;
    account.all_delivered()?;
    stage.no_faults()?;
    for crossing in stage.crossings(&plan, &account, &[(1, there), (0, back)])? {
        ensure!(crossing.trigger.0 == Kind::Rarp, "{crossing}");
    }
    Ok(())
}
