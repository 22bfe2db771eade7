//! Live migrations of real guests between two data centres.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Gateways, Lab,
    agent::Running,
    fig1::RUN,
    poll_until,
    vm::{
        Account, Card, Crossing, Guest, Habit, Migrated, Parts, Plan, Session, moves,
        session::{Finished, FinishedStreams},
    },
};

mod busy;
mod conditions;
mod demo;
mod failed;
mod idle;
mod postcopy;
mod tap;

/// The guest's program.
const GUEST: &str = env!("CARGO_BIN_EXE_guest");
/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// A guest moves more often here than the switch takes for sound.
const OFTEN: [&str; 2] = ["--quarantine-moves", "100"];

/// Emulating guests takes all the processor there is: one lab at a time, whatever runs beside.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The figure with its switch, and gateways where they are wanted.
struct Stage {
    lab: Lab,
    switch: Running,
    gateways: Option<Gateways>,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// The first embodiment: the data centres' gateways know nothing of VMs.
    fn first() -> Result<Self> {
        let turn = turn();
        let lab = Lab::fig1()?;
        Ok(Self {
            switch: Running::start(&lab.switch, RUN.into_iter().chain(OFTEN))?,
            lab,
            gateways: None,
            _turn: turn,
        })
    }

    /// The second embodiment: each data centre has a gateway that tells of idle VMs.
    fn second() -> Result<Self> {
        let mut stage = Self::first()?;
        stage.gateways = Some(Gateways::start(&stage.lab)?);
        Ok(stage)
    }

    fn switch(&self) -> &Agent {
        &self.switch.agent
    }

    /// Boots a guest in DC 1.
    fn boot(&self, plan: &Plan) -> Result<Guest> {
        let parts = Parts::new(plan.card, Path::new(GUEST))?;
        Guest::boot(&self.lab, 0, plan.clone(), parts)
    }

    /// Boots one that sends all the time.
    fn boot_busy(&self, card: Card) -> Result<Session> {
        let plan = Session::plan(&self.lab, Habit::Busy, card);
        Session::start(&self.lab, Habit::Busy, || self.boot(&plan))
    }

    /// Waits until the switch has had an address move so often.
    fn wait_moves(&self, plan: &Plan, count: usize) -> Result<()> {
        let address = plan.ipv4.to_string();
        poll_until(SOON, &format!("{count} moves of {address}"), || {
            (moves(self.switch(), &address).ok()?.len() >= count).then_some(())
        })
        .with_context(|| format!("the switch said {}", self.switch().stderr()))
    }

    /// Waits until the switch has an address at a site.
    fn wait_site(&self, address: &str, site: &str) -> Result<()> {
        poll_until(SOON, &format!("{address} to be at {site}"), || {
            let flow = self.switch().flow(address).ok()??;
            (flow["site"] == site).then_some(())
        })
        .with_context(|| format!("the switch said {}", self.switch().stderr()))
    }

    /// What there is to say about the migrations of a guest, in their order: each moved its addresses
    /// once, and to where it went.
    fn crossings(
        &self,
        plan: &Plan,
        account: &Account,
        migrations: &[(usize, Migrated)],
    ) -> Result<Vec<Crossing>> {
        let moved = moves(self.switch(), &plan.ipv4.to_string())?;
        ensure!(
            moved.len() == migrations.len(),
            "{migrations:?} made {moved:?}"
        );
        let put_together = migrations.iter().zip(&moved).enumerate();
        put_together
            .map(|(number, ((dc, migrated), moved))| {
                let crossing = Crossing::new(account, migrated, *dc, moved)?;
                println!("migration {} to dc{}: {crossing}", number + 1, dc + 1);
                Ok(crossing)
            })
            .collect()
    }

    /// Ends a session, of which the switch must have lost nothing, by the captures and by its own account.
    fn finish(&self, session: Session) -> Result<Account> {
        let Finished {
            account,
            written,
            streams,
        } = session.finish()?;
        self.judge(&account)?;
        println!("client to guest: {written}");
        ensure!(written.is_perfect(), "client to guest: {written}");
        if let Some(FinishedStreams { stream, packets }) = streams {
            println!(
                "TCP: {} bytes right, longest stall {:.1?}; UDP: {} packets in order, {} lost on the way to \
                 the switch",
                stream.bytes,
                stream.longest_stall,
                packets.received,
                packets.missing().len()
            );
        }
        Ok(account)
    }

    fn judge(&self, account: &Account) -> Result<()> {
        println!("{} frames delivered", account.all_delivered()?);
        let stats = self.switch().stats()?;
        // Announcements end at the switch, which is no fault.
        let faults = stats.faults().into_iter();
        let faults: Vec<_> = faults.filter(|(what, _)| *what != "rarp").collect();
        ensure!(faults.is_empty(), "{faults:?}");
        Ok(())
    }
}

/// Has a guest with `--echo 7` answer a packet of the client, the first that is sent.
fn answers(lab: &Lab, plan: &Plan) -> Result<Duration> {
    let (from, at) = (lab.client.v4(4000).udp()?, lab.client.v4(4001).udp()?);
    at.set_read_timeout(Some(SOON))?;
    let started = Instant::now();
    from.send_to(b"there?", (plan.ipv4, 7))?;
    let mut answer = [0; 16];
    let length = at
        .recv(&mut answer)
        .context("wait for the guest's answer")?;
    ensure!(
        &answer[..length] == b"there?",
        "the guest answered {answer:?}"
    );
    Ok(started.elapsed())
}

/// The value in the middle.
fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
