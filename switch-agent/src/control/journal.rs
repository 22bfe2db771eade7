//! The latest events, for those who ask and those who follow.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;

use crate::api::AnyEvent;

/// How many events are kept for those who ask, and how many a follower may be
/// behind before it misses some.
const KEPT: usize = 1024;

/// The latest events. Recording one never waits for those who read.
#[derive(Debug)]
pub struct Journal {
    recent: Mutex<Recent>,
    live: broadcast::Sender<AnyEvent>,
}

/// The latest events by kind. The kind with the most of them makes room for a
/// new one, so that a storm of one kind pushes out none of the others.
#[derive(Debug, Default)]
struct Recent {
    recorded: u64,
    kept: usize,
    /// Of each kind the oldest first, with their numbers among all.
    kinds: BTreeMap<&'static str, VecDeque<(u64, AnyEvent)>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            recent: Mutex::default(),
            live: broadcast::Sender::new(KEPT),
        }
    }
}

impl Recent {
    fn add(&mut self, event: AnyEvent) {
        let number = self.recorded;
        self.recorded += 1;
        self.kept += 1;
        let kind = self.kinds.entry(event.kind()).or_default();
        kind.push_back((number, event));
        if self.kept > KEPT
            && let Some(most) = self.kinds.values_mut().max_by_key(|kind| kind.len())
        {
            most.pop_front();
            self.kept -= 1;
        }
    }

    /// All of them, oldest first.
    fn in_order(&self) -> Vec<AnyEvent> {
        let mut events: Vec<_> = self.kinds.values().flatten().collect();
        events.sort_unstable_by_key(|(number, _)| *number);
        events.into_iter().map(|(_, event)| event.clone()).collect()
    }
}

impl Journal {
    /// Records an event.
    pub fn record(&self, event: impl Into<AnyEvent>) {
        let event = event.into();
        let mut recent = self.lock();
        // Under the lock, so that `watch` sees it once. An error means that
        // nobody follows, which costs a storm of events nothing.
        if self.live.receiver_count() > 0 {
            let _ = self.live.send(event.clone());
        }
        recent.add(event);
    }

    /// The latest events, oldest first.
    pub fn recent(&self) -> Vec<AnyEvent> {
        self.lock().in_order()
    }

    /// The latest events and all that come after them: none twice, none left
    /// out.
    pub fn watch(&self) -> (Vec<AnyEvent>, broadcast::Receiver<AnyEvent>) {
        let recent = self.lock();
        (recent.in_order(), self.live.subscribe())
    }

    /// A panic elsewhere cannot leave the events half changed.
    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc, thread};

    use super::*;
    use crate::{
        api::{Event, EventKind},
        types::NetworkName,
    };

    fn event(n: u32) -> Event {
        of_kind(EventKind::Created, n)
    }

    fn of_kind(kind: EventKind, n: u32) -> Event {
        Event::now(kind, NetworkName::default(), IpAddr::V4(n.into()))
    }

    fn address(event: &AnyEvent) -> IpAddr {
        match event {
            AnyEvent::Switch(event) => event.address,
            AnyEvent::Gateway(event) => panic!("a gateway's: {event:?}"),
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let journal = Journal::default();
        for n in 0..1030 {
            journal.record(event(n));
        }
        let recent = journal.recent();
        assert_eq!(recent.len(), KEPT);
        assert_eq!(recent.first().map(address), Some(event(6).address));
        assert_eq!(recent.last().map(address), Some(event(1029).address));
    }

    #[test]
    fn a_storm_of_one_kind_pushes_out_no_other() {
        let mut all: Vec<AnyEvent> = Vec::new();
        let mut tell = |kind, n| all.push(of_kind(kind, n).into());
        (0..20).for_each(|n| tell(EventKind::Moved, n));
        // A storm, and alarms in the middle of it.
        for n in 0..5000 {
            if n % 500 == 0 {
                tell(EventKind::Quarantined, n);
            }
            tell(EventKind::Created, n);
            tell(EventKind::Refused, n);
        }
        let journal = Journal::default();
        all.iter().for_each(|event| journal.record(event.clone()));
        let recent = journal.recent();
        assert_eq!(recent.len(), KEPT);
        let of = |kind: EventKind| -> Vec<IpAddr> {
            let events = recent.iter().filter(|event| event.kind() == kind.as_str());
            events.map(address).collect()
        };
        let addresses = |numbers: &mut dyn Iterator<Item = u32>| -> Vec<IpAddr> {
            numbers.map(|n| IpAddr::V4(n.into())).collect()
        };
        assert_eq!(of(EventKind::Moved), addresses(&mut (0..20)));
        let alarms = &mut (0..5000).step_by(500);
        assert_eq!(of(EventKind::Quarantined), addresses(alarms));
        // What is left of the storm are its latest events.
        let left = (KEPT as u32 - 20 - 10) / 2;
        for kind in [EventKind::Created, EventKind::Refused] {
            assert_eq!(of(kind), addresses(&mut (5000 - left..5000)));
        }
        let mut all = all.iter();
        let in_order = recent.iter().all(|event| all.any(|told| told == event));
        assert!(in_order, "all kinds together");
    }

    #[test]
    fn watching_sees_each_once() {
        let journal = Arc::new(Journal::default());
        let writer = Arc::clone(&journal);
        let writing = thread::spawn(move || (0..1000).for_each(|n| writer.record(event(n))));
        let (mut seen, mut live) = journal.watch();
        writing.join().expect("the writer");
        while let Ok(event) = live.try_recv() {
            seen.push(event);
        }
        let seen: Vec<_> = seen.iter().map(address).collect();
        let all: Vec<_> = (0..1000).map(|n| event(n).address).collect();
        assert_eq!(seen, all);
    }
}
