//! A migration as the network saw it: what told the switch, when it switched, who waited for how long.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Account, Kind, Migrated};
use crate::{Agent, raw::instant};

/// A guest that has said nothing for so long before it was stopped was not sending all the time.
const SENDING: Duration = Duration::from_millis(200);

/// A move of an address, by the switch's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// When, to the millisecond.
    pub at: Instant,
    /// To which site.
    pub to: String,
    /// What spoke for it: `data` or `announce`.
    pub evidence: String,
    /// From the arrival of the frame that spoke for it to the new rules, where the agent has made them.
    pub learned_in: Option<Duration>,
}

/// All moves of an address so far, as `events --json` tells of them.
///
/// # Errors
/// When the agent does not run.
pub fn moves(switch: &Agent, address: &str) -> Result<Vec<Moved>> {
    let events = switch.events()?;
    let of = |event: &&serde_json::Value| event["event"] == "moved" && event["address"] == address;
    let read = |event: &serde_json::Value| {
        let word = |name: &str| {
            event[name]
                .as_str()
                .with_context(|| format!("no {name} in {event}"))
        };
        let time = humantime::parse_rfc3339(word("time")?).context("read the time of an event")?;
        Ok(Moved {
            at: instant(time),
            to: word("to")?.to_owned(),
            evidence: word("evidence")?.to_owned(),
            learned_in: event["learn_us"].as_u64().map(Duration::from_micros),
        })
    };
    events.iter().filter(of).map(read).collect()
}

/// A migration of a guest. Times count from its resumption at its new place, by QEMU's account.
#[derive(Clone, Copy, Debug)]
pub struct Crossing {
    /// For how long the hypervisors had it stand still.
    pub downtime: Duration,
    /// What told the switch first, and when it reached it.
    pub trigger: (Kind, Duration),
    /// When the switch had the new rules.
    pub switched: Duration,
    /// When the first frame for it reached its new place: from then on it is reachable, however slow it is.
    pub reached: Option<Duration>,
    /// When the first frame of the guest itself reached the switch.
    pub spoke: Option<Duration>,
    /// The time without a frame of the guest, if it was sending.
    pub gaps: Option<Gaps>,
}

/// How long nothing came of a guest that sends all the time. The hypervisors' downtime and the guest's own
/// slowness are in both.
#[derive(Clone, Copy, Debug)]
pub struct Gaps {
    /// To where the switch is.
    pub switch: Duration,
    /// To the client.
    pub client: Duration,
}

impl Crossing {
    /// Puts a migration to `dc` together.
    ///
    /// # Errors
    /// When nobody told the switch, or it says that it learned from something else.
    pub fn new(account: &Account, migrated: &Migrated, dc: usize, moved: &Moved) -> Result<Self> {
        let since = |at: Instant| at.saturating_duration_since(migrated.resumed);
        let first = account.news(dc, migrated).next();
        let first = first.context("nothing told the switch of the guest")?;
        let evidence = if first.kind >= Kind::Data {
            "data"
        } else {
            "announce"
        };
        ensure!(
            (&*moved.evidence, &*moved.to) == (evidence, &*format!("dc{}", dc + 1)),
            "{} from dc{} came first, but {moved:?}",
            first.kind,
            dc + 1
        );
        // The frame's own time is more exact than the event's.
        let switched = match moved.learned_in {
            Some(learned_in) => first.at + learned_in,
            None => moved.at,
        };
        let own = |heard: &&super::account::Heard| {
            !matches!(heard.kind, Kind::Rarp | Kind::LearningPacket)
        };
        Ok(Self {
            downtime: migrated.downtime(),
            trigger: (first.kind, since(first.at)),
            switched: since(switched),
            reached: account.first_for_guest(dc, migrated).map(since),
            spoke: account
                .news(dc, migrated)
                .find(own)
                .map(|heard| since(heard.at)),
            gaps: Gaps::new(account, migrated),
        })
    }
}

impl Gaps {
    /// How much longer the client heard nothing of the guest than the switch: the network's part.
    #[must_use]
    pub fn added(&self) -> Duration {
        self.client.saturating_sub(self.switch)
    }

    fn new(account: &Account, migrated: &Migrated) -> Option<Self> {
        Some(Self {
            switch: gap(account.for_client().map(|heard| heard.at), migrated)?,
            client: gap(account.at_client().map(|got| got.at), migrated)?,
        })
    }
}

fn gap(arrivals: impl Iterator<Item = Instant>, migrated: &Migrated) -> Option<Duration> {
    let (before, behind): (Vec<_>, Vec<_>) = arrivals.partition(|at| *at <= migrated.resumed);
    let last = before.into_iter().max()?;
    let was_sending = migrated.stopped.saturating_duration_since(last) < SENDING;
    Some(behind.into_iter().min()? - last).filter(|_| was_sending)
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            downtime,
            trigger: (kind, came),
            switched,
            reached,
            spoke,
            gaps,
        } = self;
        write!(
            f,
            "downtime {downtime:.2?}; after it {kind} at {came:.2?}, switched at {switched:.2?}"
        )?;
        if let Some(reached) = reached {
            write!(f, ", a frame for the guest there at {reached:.2?}")?;
        }
        if let Some(spoke) = spoke {
            write!(f, ", the guest's first frame at {spoke:.2?}")?;
        }
        if let Some(Gaps { switch, client }) = gaps {
            write!(
                f,
                "; gap before the switch {switch:.2?}, at the client {client:.2?}"
            )?;
        }
        Ok(())
    }
}
