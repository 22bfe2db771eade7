//! A guest that says nothing of its own accord (second embodiment).

use anyhow::{Context, Result, ensure};
use lab::vm::{Card, Kind, Plan, Way};

use super::{Stage, answers, boot, stay};

/// Migrates an idle guest, and gives the kinds of announcements that came of it.
fn moves_before_it_is_up(card: Card) -> Result<Vec<Kind>> {
    let stage = Stage::second()?;
    let plan = Plan::vm13(&["--echo", "7"]).with(card);
    let mut guest = boot(&stage.lab, &plan)?;
    answers(&stage.lab, &plan)?;
    let ears = stage.ears(&plan)?;
    let migrated = guest.migrate(&stage.lab, 1, Way::PreCopy)?;
    stage.wait_moves(&plan, 1)?;
    // Its own announcements, and then an answer to the first packet that is sent to it.
    stay(&migrated)?;
    let answered = answers(&stage.lab, &plan).context("ask it at its new place")?;
    guest.pause()?;
    let account = ears.close()?;
    account.all_delivered()?;
    stage.no_faults()?;
    let crossings = stage.crossings(&plan, &account, &[(1, migrated)])?;
    println!("answered in {answered:.2?}");
    let crossing = crossings[0];
    ensure!(crossing.trigger.0 == Kind::Rarp, "{crossing}");
    if let Some(spoke) = crossing.spoke {
        ensure!(crossing.switched < spoke, "{crossing}");
    }
    let mut kinds: Vec<Kind> = account.news(1, &migrated).map(|heard| heard.kind).collect();
    kinds.sort();
    kinds.dedup();
    Ok(kinds)
}

#[test]
fn with_virtio_that_announces_itself() -> Result<()> {
    let kinds = moves_before_it_is_up(Card::Virtio)?;
    for kind in [Kind::Rarp, Kind::Garp, Kind::Na] {
        ensure!(kinds.contains(&kind), "{kinds:?}");
    }
    Ok(())
}

#[test]
fn with_virtio_that_does_not() -> Result<()> {
    let kinds = moves_before_it_is_up(Card::VirtioSilent)?;
    ensure!(kinds.contains(&Kind::Rarp), "{kinds:?}");
    ensure!(
        !kinds.contains(&Kind::Garp) && !kinds.contains(&Kind::Na),
        "{kinds:?}"
    );
    Ok(())
}

#[test]
fn with_a_card_that_knows_nothing_of_migrations() -> Result<()> {
    let kinds = moves_before_it_is_up(Card::E1000)?;
    ensure!(kinds.contains(&Kind::Rarp), "{kinds:?}");
    ensure!(
        !kinds.contains(&Kind::Garp) && !kinds.contains(&Kind::Na),
        "{kinds:?}"
    );
    Ok(())
}
