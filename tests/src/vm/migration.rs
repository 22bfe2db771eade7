//! A live migration, by QEMU's own account.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use vm::{
    qemu::Machine,
    qmp::{Event, Qmp},
};

use super::{Guest, guest::TAP};
use crate::{Lab, fig1::BRIDGE, interrupt::idle, raw::instant};

/// How long a migration may take, on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the guest may stand still, in milliseconds: QEMU's default is 300.
const DOWNTIME_LIMIT_MS: u64 = 100;

/// How fast memory is carried before the guest, in bytes a second, where most of it shall follow later.
const POST_COPY_RATE: u64 = 4 << 20;

/// How long a guest stays where it is.
const STAY: Duration = Duration::from_millis(1200);

/// How a guest is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its memory first, then the guest.
    PreCopy,
    /// The guest first; its memory follows as it is needed.
    PostCopy,
}

/// A migration that has been prepared: QEMU waits for the guest at the destination.
#[derive(Debug)]
pub struct Migration {
    destination: Machine,
    to: usize,
    way: Way,
    late: bool,
    _directory: TempDir,
    uri: String,
}

/// A migration that is over.
#[derive(Clone, Copy, Debug)]
pub struct Migrated {
    /// When the source stopped the guest.
    pub stopped: Instant,
    /// When the destination resumed it.
    pub resumed: Instant,
}

impl Migrated {
    /// For how long the guest stood still: the hypervisors' part of the gap.
    #[must_use]
    pub fn downtime(&self) -> Duration {
        self.resumed.saturating_duration_since(self.stopped)
    }

    /// Waits until the guest may move on: an announcement does not bring it back to where it just was for
    /// a second, and it announces itself for nearly as long.
    ///
    /// # Errors
    /// Once someone has interrupted the program.
    pub fn stay(&self) -> Result<()> {
        idle(STAY.saturating_sub(self.resumed.elapsed()))
    }
}

impl Guest {
    /// Migrates it to another data centre.
    ///
    /// # Errors
    /// When the migration does not succeed.
    pub fn migrate(&mut self, lab: &Lab, to: usize, way: Way) -> Result<Migrated> {
        let migration = self.prepare(lab, to, way)?;
        migration.start(self, None)?;
        migration.finish(self, lab)
    }

    /// Starts QEMU at the destination, which waits for the guest.
    ///
    /// # Errors
    /// When it does not start.
    pub fn prepare(&self, lab: &Lab, to: usize, way: Way) -> Result<Migration> {
        self.prepare_with(lab, to, way, false)
    }

    /// The same, but its tap joins the LAN only when the guest runs there: so does libvirt with some
    /// networks. What is sent before that is lost.
    ///
    /// # Errors
    /// As [`Guest::prepare`].
    pub fn prepare_late(&self, lab: &Lab, to: usize) -> Result<Migration> {
        self.prepare_with(lab, to, Way::PreCopy, true)
    }

    fn prepare_with(&self, lab: &Lab, to: usize, way: Way, late: bool) -> Result<Migration> {
        let destination = self
            .plan
            .start(&self.parts, lab, to, &["-incoming", "defer"], !late)?;
        let directory = tempfile::tempdir().context("make a directory for a migration")?;
        let path = directory.path().join("migration");
        let uri = format!("unix:{}", path.display());
        for machine in [&self.machine, &destination] {
            let capability = |name: &str, on: bool| json!({"capability": name, "state": on});
            let capabilities = [
                capability("events", true),
                capability("postcopy-ram", way == Way::PostCopy),
            ];
            let set = json!({"capabilities": capabilities});
            machine.qmp().execute("migrate-set-capabilities", set)?;
        }
        destination
            .qmp()
            .execute("migrate-incoming", json!({"uri": uri}))?;
        Ok(Migration {
            destination,
            to,
            way,
            late,
            _directory: directory,
            uri,
        })
    }
}

impl Migration {
    /// Begins. With a `rate` of so many bytes a second it takes its time, so that something can be done
    /// in the middle.
    ///
    /// # Errors
    /// When the source refuses.
    pub fn start(&self, guest: &Guest, rate: Option<u64>) -> Result<()> {
        let qmp = guest.machine.qmp();
        let parameters = json!({
            // 0 is without limit, which it also is after the switch to post-copy.
            "max-bandwidth": rate.unwrap_or(if self.way == Way::PostCopy { POST_COPY_RATE } else { 0 }),
            "downtime-limit": DOWNTIME_LIMIT_MS,
        });
        qmp.execute("migrate-set-parameters", parameters)?;
        let from = qmp.seen();
        qmp.execute("migrate", json!({"uri": self.uri}))?;
        wait_status(qmp, from, "active")?;
        if self.way == Way::PostCopy {
            qmp.execute("migrate-start-postcopy", json!({}))?;
        }
        Ok(())
    }

    /// Waits until the guest runs at the destination and needs the source no more, whose QEMU is ended.
    ///
    /// # Errors
    /// When the migration does not succeed, or does not end.
    pub fn finish(self, guest: &mut Guest, lab: &Lab) -> Result<Migrated> {
        let said = |error: anyhow::Error, machine: &Machine| {
            error.context(format!("QEMU said:\n{}", machine.said()))
        };
        let resume = wait_event(self.destination.qmp(), 0, "RESUME")
            .map_err(|error| said(error, &self.destination))?;
        if self.late {
            lab.site(self.to)?.ns.set_bridge(TAP, Some(BRIDGE))?;
        }
        // Only then has it all that the source has sent.
        wait_status(self.destination.qmp(), 0, "completed")
            .map_err(|error| said(error, &self.destination))?;
        // The last one: of those before, the migration was given up.
        let source = guest.machine.qmp();
        wait_status(source, 0, "completed").map_err(|error| said(error, &guest.machine))?;
        let stop = source
            .last(0, |event| event.name == "STOP")
            .context("the source did not stop the guest")?;
        if self.way == Way::PostCopy {
            let active = |event: &Event| is_status(event, "postcopy-active");
            ensure!(
                source.last(0, active).is_some(),
                "the migration was over before its post-copy phase"
            );
        }
        guest.machine = self.destination;
        guest.dc = self.to;
        Ok(Migrated {
            stopped: instant(stop.at),
            resumed: instant(resume.at),
        })
    }

    /// Ends the destination's QEMU in the middle, and waits until the guest's one has noticed.
    ///
    /// # Errors
    /// When the migration was over already.
    pub fn kill(mut self, guest: &Guest) -> Result<()> {
        let from = guest.machine.qmp().seen();
        self.destination.kill();
        wait_status(guest.machine.qmp(), from, "failed")?;
        Ok(())
    }

    /// Gives the migration up, as an operator does.
    ///
    /// # Errors
    /// When it was over already.
    pub fn cancel(self, guest: &Guest) -> Result<()> {
        let qmp = guest.machine.qmp();
        let from = qmp.seen();
        qmp.execute("migrate_cancel", json!({}))?;
        wait_status(qmp, from, "cancelled")?;
        Ok(())
    }
}

fn wait_event(qmp: &Qmp, from: usize, name: &str) -> Result<Event> {
    qmp.wait_for(from, name, PATIENCE, |event| event.name == name)
}

fn wait_status(qmp: &Qmp, from: usize, status: &str) -> Result<Event> {
    let what = format!("a migration that is {status}");
    qmp.wait_for(from, &what, PATIENCE, |event| is_status(event, status))
}

fn is_status(event: &Event, status: &str) -> bool {
    event.name == "MIGRATION" && event.data["status"] == status
}
