//! What the learner did: events for those who ask, a line in the log, latencies.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use hdrhistogram::Histogram;

use super::log_quota::LogQuota;
use crate::{
    api::{Event, EventKind, Latency},
    control::Journal,
    types::MacAddress,
};

/// The longest latency that is told apart: a minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// The learner writes it, the control socket reads it.
pub struct Record {
    journal: Journal,
    /// None if the histogram's bounds were wrong, which a test rules out.
    learn_us: Mutex<Option<Histogram<u64>>>,
    moves: Mutex<LogQuota>,
}

impl Default for Record {
    fn default() -> Self {
        let learn_us = Mutex::new(Histogram::new_with_bounds(1, LONGEST_US, 2).ok());
        Self {
            journal: Journal::default(),
            learn_us,
            moves: Mutex::new(LogQuota::new(Instant::now())),
        }
    }
}

impl Record {
    /// Something happened.
    pub fn event(&self, event: Event) {
        log(&event, || self.may_log_move());
        if let (Some(us), Some(histogram)) = (event.learn_us, self.histogram().as_mut()) {
            histogram.saturating_record(us);
        }
        self.journal.record(event);
    }

    /// The events.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// From a frame's arrival to the new rules, in this run of the agent.
    pub fn learn_us(&self) -> Latency {
        self.histogram()
            .as_ref()
            .map_or_else(Latency::default, |histogram| Latency {
                count: histogram.len(),
                p50: histogram.value_at_quantile(0.5),
                p99: histogram.value_at_quantile(0.99),
                max: histogram.max(),
            })
    }

    /// Whether the log has room for one more move. Tells of those that it had none for before.
    fn may_log_move(&self) -> bool {
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let admits = moves.admits(Instant::now());
        if admits {
            let left_out = moves.take_left_out();
            if left_out > 0 {
                tracing::info!("{left_out} more were moved than the log has lines for");
            }
        }
        admits
    }

    fn histogram(&self) -> MutexGuard<'_, Option<Histogram<u64>>> {
        self.learn_us.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves and alarms are what an operator reads of; the rest is for those who look for it.
fn log(event: &Event, may_log_move: impl FnOnce() -> bool) {
    if event.event == EventKind::Moved && !may_log_move() {
        return;
    }
    let name = |site: &Option<crate::types::SiteName>| site.as_ref().map(ToString::to_string);
    let (from, to) = (name(&event.from), name(&event.to));
    let (address, network, kind) = (event.address, &event.network, event.event.as_str());
    let reason = event.reason.as_deref();
    match event.event {
        EventKind::Duplicate => {
            let mac = |mac: Option<MacAddress>| mac.map(|mac| mac.to_string());
            let (mac, old_mac) = (mac(event.mac), mac(event.old_mac));
            tracing::warn!(
                %address, %network, from, to, mac, old_mac, on_conflict = reason,
                "{kind}: it has moved, and still answers at its old site"
            );
        }
        EventKind::Quarantined => {
            tracing::warn!(%address, %network, from, to, reason, "{kind}: it is held where it is");
        }
        EventKind::Moved | EventKind::Released => {
            tracing::info!(%address, %network, from, to, learn_us = event.learn_us, "{kind}");
        }
        EventKind::Created | EventKind::Refused | EventKind::Removed => {
            tracing::debug!(%address, %network, from, to, reason, "{kind}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept() {
        let record = Record::default();
        for us in [80, 90, 100] {
            let mut event = crate::api::tests::moved();
            event.learn_us = Some(us);
            record.event(event);
        }
        let latency = record.learn_us();
        assert_eq!((latency.count, latency.p50, latency.max), (3, 90, 100));
    }
}
