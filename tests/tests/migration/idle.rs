//! A guest that says nothing of its own accord (second embodiment).

use anyhow::{Context, Result, ensure};
use lab::vm::{Card, Ears, Kind, Plan, Way};
use serde_json::{Value, json};

use super::{Stage, answers};

/// Migrates an idle guest, and gives the kinds of announcements that came of it.
fn moves_before_it_is_up(card: Card) -> Result<Vec<Kind>> {
    let stage = Stage::second()?;
    let plan = Plan::vm13(&["--echo", "7"]).with(card);
    let mut guest = stage.boot(&plan)?;
    answers(&stage.lab, &plan)?;
    let ears = Ears::open(&stage.lab, plan.mac)?;
    let migrated = guest.migrate(&stage.lab, 1, Way::PreCopy)?;
    stage.wait_moves(&plan, 1)?;
    // Its own announcements, and then an answer to the first packet that is sent to it.
    migrated.stay()?;
    let answered = answers(&stage.lab, &plan).context("ask it at its new place")?;
    println!("answered in {answered:.2?}");
    guest.pause()?;
    let account = ears.close()?;
    stage.judge(&account)?;
    let crossing = stage.crossings(&plan, &account, &[(1, migrated)])?[0];
    ensure!(crossing.trigger.0 == Kind::Rarp, "{crossing}");
    let spoke = crossing.spoke.context("it answered")?;
    ensure!(crossing.switched < spoke, "{crossing}");
    let explained = ["explain", &plan.ipv4.to_string(), "--json"];
    let explained: Value = serde_json::from_str(&stage.switch().cli_ok(&explained)?)?;
    let bound = &explained["binding"];
    let sites = (&bound["previous_site"], &bound["site"]);
    ensure!(sites == (&json!("dc1"), &json!("dc2")), "{explained}");
    let mut kinds: Vec<Kind> = account.news(1, &migrated).map(|heard| heard.kind).collect();
    kinds.sort();
    kinds.dedup();
    Ok(kinds)
}

#[test]
fn with_virtio_that_announces_itself() -> Result<()> {
    let kinds = moves_before_it_is_up(Card::Virtio)?;
    for kind in [Kind::Rarp, Kind::Garp, Kind::Na, Kind::LearningPacket] {
        ensure!(kinds.contains(&kind), "{kinds:?}");
    }
    Ok(())
}

#[test]
fn with_virtio_that_does_not() -> Result<()> {
    of_rarp_only(&moves_before_it_is_up(Card::VirtioSilent)?)
}

#[test]
fn with_a_card_that_knows_nothing_of_migrations() -> Result<()> {
    of_rarp_only(&moves_before_it_is_up(Card::E1000)?)
}

fn of_rarp_only(kinds: &[Kind]) -> Result<()> {
    let guests_own = kinds.contains(&Kind::Garp) || kinds.contains(&Kind::Na);
    ensure!(kinds.contains(&Kind::Rarp) && !guests_own, "{kinds:?}");
    Ok(())
}
