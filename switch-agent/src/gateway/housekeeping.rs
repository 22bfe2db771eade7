//! What a gateway does now and then: tells of storms, and makes room for new stations.

use std::collections::HashSet;

use aya::maps::MapError;
use switch_ebpf::abi::gateway::{Counter, MAX_ADDRESSES, Station, agent};

use super::{GatewayError, announcer::Announcer};
use crate::api::{GatewayEvent, GatewayEventKind};

/// How often, in nanoseconds.
const INTERVAL_NS: u64 = 1_000_000_000;
/// When it is done next, and what was seen last.
#[derive(Debug, Default)]
pub struct Housekeeping {
    next_ns: u64,
    bounded: Option<u64>,
    full: Option<u64>,
}

impl Housekeeping {
    /// When it is to be done next.
    pub fn next_ns(&self) -> u64 {
        self.next_ns
    }
}

impl Announcer {
    /// Keeps the house, if it is time.
    pub(super) fn keep_house(&mut self, now_ns: u64) -> Result<(), GatewayError> {
        if now_ns < self.housekeeping.next_ns {
            return Ok(());
        }
        self.housekeeping.next_ns = now_ns + INTERVAL_NS;
        if let Some(notifier) = &self.notifier {
            let (sent, failed) = notifier.outcome();
            let tally = &mut self.tables.tally;
            tally.add_agent(agent::NOTIFIED, sent)?;
            tally.add_agent(agent::NOTIFY_FAILED, failed)?;
        }
        self.tell_of_storms(now_ns)?;
        Ok(self.make_room()?)
    }

    fn tell_of_storms(&mut self, now_ns: u64) -> Result<(), MapError> {
        let tally = &self.tables.tally;
        let bounded = [
            Counter::StationBound,
            Counter::LanBound,
            Counter::NoticeLost,
        ]
        .into_iter()
        .try_fold(0, |sum, counter| {
            Ok::<_, MapError>(sum + tally.counter(counter as u32)?)
        })?;
        let before = self.housekeeping.bounded.replace(bounded);
        // What a former run has counted is no news.
        let more = before.map_or(0, |before| bounded.saturating_sub(before));
        if more > 0 {
            self.log.rarely(now_ns, "storm", || GatewayEvent {
                reason: Some(format!(
                    "{more} announcements in a second were above the limits"
                )),
                ..GatewayEvent::now(GatewayEventKind::Bounded)
            });
        }
        Ok(())
    }

    /// Forgets those that were silent longest, where the datapath had no room for others.
    fn make_room(&mut self) -> Result<(), MapError> {
        let full = self.tables.tally.counter(Counter::StationsFull as u32)?;
        if self
            .housekeeping
            .full
            .replace(full)
            .is_none_or(|before| before == full)
        {
            return Ok(());
        }
        let mut addresses: Vec<_> = self.tables.addresses().collect::<Result<_, _>>()?;
        addresses.sort_by_key(|(_, seen_ns)| *seen_ns);
        let many = addresses.len().saturating_sub(MAX_ADDRESSES as usize / 2);
        let (forgotten, kept) = addresses.split_at(many);
        for (about, _) in forgotten {
            let left = self.stations.remove(about);
            self.tables.forget_address(about, left)?;
        }
        let used: HashSet<Station> = kept.iter().map(|(about, _)| about.station).collect();
        let stations: Vec<_> = self.tables.stations().collect::<Result<_, _>>()?;
        let idle = stations.iter().filter(|station| !used.contains(station));
        let mut gone = 0;
        for station in idle {
            self.tables.forget_station(station)?;
            gone += 1;
        }
        tracing::warn!(
            addresses = many,
            stations = gone,
            "no room for more stations: those that were silent longest are forgotten"
        );
        Ok(())
    }
}
