//! A guest's migrations, one after the other.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Gateways, Lab,
    agent::Running,
    interrupt::wait_until,
    vm::{Account, Crossing, Guest, Habit, Migrated, Parts, Session, moves, session::Finished},
};

use super::kind::Kind;
use crate::{
    screen::{Screen, ms},
    system::SWITCH,
};

/// How long anything may take, on a machine that emulates others.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a guest.
pub struct Outcome {
    /// What it was.
    pub kind: Kind,
    /// Its migrations.
    pub crossings: Vec<Crossing>,
    /// How many frames the switch got: the guest's for the client, and the client's numbered ones.
    pub offered: u64,
    /// How many of those did not come out of it.
    pub lost: u64,
    /// What went wrong, in words. Empty is how it should be.
    pub faults: Vec<String>,
}

/// Lays out Fig. 1, boots the guest in DC 1, and migrates it so often while the client writes to it.
pub fn run(screen: &mut Screen, kind: Kind, guest: &Path, moves: u32) -> Result<Outcome> {
    let Kind {
        habit, card, title, ..
    } = kind;
    let lab = Lab::fig1()?;
    let switch = Running::start(&lab.switch, SWITCH)?;
    let _gateways = match habit {
        Habit::Busy => None,
        Habit::Idle => Some(Gateways::start(&lab)?),
    };
    let plan = Session::plan(&lab, habit, card);
    let mut session = Session::start(&lab, habit, || {
        Guest::boot(&lab, 0, plan.clone(), Parts::new(card, guest)?)
    })?;
    let address = plan.ipv4.to_string();
    wait_until(PATIENCE, "the switch to know the guest", || {
        switch.agent.flow(&address).ok().flatten()
    })?;
    screen.step(format_args!("{title}: the guest runs in dc1"))?;

    let mut migrations = Vec::new();
    for _ in 0..moves {
        migrations.push(migrate(
            screen,
            kind,
            &lab,
            &switch.agent,
            &mut session,
            migrations.len(),
        )?);
    }
    let Finished {
        account, written, ..
    } = session.finish()?;
    let crossings = put_together(&account, &migrations, &switch.agent, &address)?;
    let mut faults = Vec::new();
    if let Err(error) = account.all_delivered() {
        faults.push(error.to_string());
    }
    if !written.is_perfect() {
        faults.push(format!("client to guest: {written}"));
    }
    let from_guest = account.for_client().count();
    let stats = switch.agent.stats()?;
    // Announcements end at the switch, which is no fault.
    let dropped = stats
        .faults()
        .into_iter()
        .filter(|(what, _)| *what != "rarp");
    faults.extend(dropped.map(|(what, count)| format!("{what}: {count}")));
    screen.step(format_args!("{title}: every frame is counted"))?;
    Ok(Outcome {
        kind,
        crossings,
        offered: from_guest as u64 + written.received + written.lost,
        lost: from_guest.saturating_sub(account.at_client().count()) as u64 + written.lost,
        faults,
    })
}

/// Migrates the guest to the other data centre, and lets it stay there.
fn migrate(
    screen: &mut Screen,
    kind: Kind,
    lab: &Lab,
    switch: &Agent,
    session: &mut Session,
    before: usize,
) -> Result<(usize, Migrated)> {
    let (from, to) = (session.guest.dc(), 1 - session.guest.dc());
    let migrated = session.guest.migrate(lab, to, kind.way)?;
    let address = session.guest.plan().ipv4.to_string();
    wait_until(PATIENCE, "the switch to tell of the move", || {
        (moves(switch, &address).ok()?.len() > before).then_some(())
    })
    .with_context(|| format!("the switch said:\n{}", switch.stderr()))?;
    session.goes_on()?;
    migrated.stay()?;
    screen.step(format_args!(
        "migration {}: dc{} -> dc{}, downtime {}",
        before + 1,
        from + 1,
        to + 1,
        ms(migrated.downtime())
    ))?;
    Ok((to, migrated))
}

fn put_together(
    account: &Account,
    migrations: &[(usize, Migrated)],
    switch: &Agent,
    address: &str,
) -> Result<Vec<Crossing>> {
    let moved = moves(switch, address)?;
    ensure!(
        moved.len() == migrations.len(),
        "{} migrations made {moved:?}",
        migrations.len()
    );
    let both = migrations.iter().zip(&moved);
    both.map(|((dc, migrated), moved)| Crossing::new(account, migrated, *dc, moved))
        .collect()
}
