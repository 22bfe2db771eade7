//! A guest that says nothing of its own accord (second embodiment).

use anyhow::{Context, Result, ensure};
use lab::vm::{Card, Ears, Kind, Plan, Way};
use serde_json::{Value, json};

use super::{Stage, answers};

/// Migrates an idle guest three times, and gives the kinds of announcements that came of it.
fn moves_before_it_is_up(card: Card) -> Result<Vec<Kind>> {
    let stage = Stage::second()?;
    let plan = Plan::vm13(&["--echo", "7"]).with(card);
    let mut guest = stage.boot(&plan)?;
    answers(&stage.lab, &plan)?;
    let ears = Ears::open(&stage.lab, plan.mac)?;
    let mut migrations = Vec::new();
    for to in [1, 0, 1] {
        let migrated = guest.migrate(&stage.lab, to, Way::PreCopy)?;
        migrations.push((to, migrated));
        stage.wait_moves(&plan, migrations.len())?;
        // Its own announcements, and then an answer to the first packet that is sent to it.
        migrated.stay()?;
        let answered = answers(&stage.lab, &plan).context("ask it at its new place")?;
        println!("answered in {answered:.2?}");
    }
    guest.pause()?;
    let account = ears.close()?;
    stage.judge(&account)?;
    let crossings = stage.crossings(&plan, &account, &migrations)?;
    let mut before = 0;
    for crossing in &crossings {
        ensure!(crossing.trigger.0 == Kind::Rarp, "{crossing}");
        let spoke = crossing.spoke.context("it answered")?;
        before += usize::from(crossing.switched < spoke);
    }
    // Not each time: where others keep the processors busy, the agent may have to wait for its turn.
    ensure!(
        before >= 2,
        "{before} of {} times before it spoke",
        crossings.len()
    );
    explained(&stage, &plan)?;
    let told = migrations
        .iter()
        .flat_map(|(dc, migrated)| account.news(*dc, migrated));
    let mut kinds: Vec<Kind> = told.map(|heard| heard.kind).collect();
    kinds.sort();
    kinds.dedup();
    Ok(kinds)
}

/// Whether `explain` has it where it came to, and from where.
fn explained(stage: &Stage, plan: &Plan) -> Result<()> {
    let explain = ["explain", &plan.ipv4.to_string(), "--json"];
    let explained: Value = serde_json::from_str(&stage.switch().cli_ok(&explain)?)?;
    let bound = &explained["binding"];
    let sites = (&bound["previous_site"], &bound["site"]);
    ensure!(sites == (&json!("dc1"), &json!("dc2")), "{explained}");
    Ok(())
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
