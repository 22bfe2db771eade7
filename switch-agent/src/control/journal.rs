//! The latest events, for those who ask and those who follow.

use std::{
    collections::VecDeque,
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
    recent: Mutex<VecDeque<AnyEvent>>,
    live: broadcast::Sender<AnyEvent>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            recent: Mutex::default(),
            live: broadcast::Sender::new(KEPT),
        }
    }
}

impl Journal {
    /// Records an event.
    pub fn record(&self, event: impl Into<AnyEvent>) {
        let event = event.into();
        let mut recent = self.lock();
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(event.clone());
        // Under the lock, so that `watch` sees it once. An error means that
        // nobody follows.
        let _ = self.live.send(event);
    }

    /// The latest events, oldest first.
    pub fn recent(&self) -> Vec<AnyEvent> {
        self.lock().iter().cloned().collect()
    }

    /// The latest events and all that come after them: none twice, none left
    /// out.
    pub fn watch(&self) -> (Vec<AnyEvent>, broadcast::Receiver<AnyEvent>) {
        let recent = self.lock();
        (recent.iter().cloned().collect(), self.live.subscribe())
    }

    /// A panic elsewhere cannot leave the queue half changed.
    fn lock(&self) -> MutexGuard<'_, VecDeque<AnyEvent>> {
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
        Event::now(
            EventKind::Created,
            NetworkName::default(),
            IpAddr::V4(n.into()),
        )
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
