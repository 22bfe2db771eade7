//! What a gateway tells of itself: events for those who ask, and a line in the log.

use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Mutex, PoisonError},
};

use crate::{
    api::{GatewayEvent, GatewayEventKind},
    control::Journal,
    net::packet::SendError,
};

/// The same trouble is told again after so long, in nanoseconds; it is counted every time.
const RARELY_NS: u64 = 10_000_000_000;
/// How many troubles are remembered for that.
const MOST: usize = 4096;

/// The gateway's threads write it, the control socket reads it.
#[derive(Default)]
pub struct Log {
    journal: Journal,
    told: Mutex<HashMap<(&'static str, String), u64>>,
}

impl Log {
    /// The events.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Something happened.
    pub fn event(&self, event: GatewayEvent) {
        let kind = event.event.as_str();
        let mac = event.mac.map(|mac| mac.to_string());
        let address = event.address.map(|address| address.to_string());
        let port = event.port.as_ref().map(ToString::to_string);
        let (announcement, reason) = (event.announcement.as_deref(), event.reason.as_deref());
        match event.event {
            GatewayEventKind::Announced | GatewayEventKind::PortBack => {
                tracing::info!(address, mac, announcement, port, "{kind}");
            }
            GatewayEventKind::Asked | GatewayEventKind::Answered => {
                tracing::debug!(address, mac, "{kind}");
            }
            GatewayEventKind::Unanswered
            | GatewayEventKind::NoDestination
            | GatewayEventKind::Bounded
            | GatewayEventKind::SendFailed
            | GatewayEventKind::PortGone => {
                tracing::warn!(address, mac, port, reason, "{kind}");
            }
        }
        self.journal.record(event);
    }

    /// Something happened that may happen often: an event now and then, for each `about`.
    pub fn rarely(&self, now_ns: u64, about: impl Display, event: impl FnOnce() -> GatewayEvent) {
        let event = event();
        if self.is_news(now_ns, event.event.as_str(), about) {
            self.event(event);
        }
    }

    /// A frame could not be sent.
    pub fn send_failed(&self, now_ns: u64, what: &str, error: Option<SendError>) {
        let why = error.map_or_else(
            || "the port is gone, or the frame is too long for it".to_owned(),
            |error| error.to_string(),
        );
        self.rarely(now_ns, what, || GatewayEvent {
            reason: Some(format!("{what} could not leave: {why}")),
            ..GatewayEvent::now(GatewayEventKind::SendFailed)
        });
    }

    /// A warning now and then.
    pub fn warn_rarely(&self, now_ns: u64, about: &'static str, error: &dyn std::error::Error) {
        if self.is_news(now_ns, "warning", about) {
            tracing::warn!("{error}");
        }
    }

    fn is_news(&self, now_ns: u64, kind: &'static str, about: impl Display) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, about.to_string());
        let last = told.get(&key);
        if last.is_some_and(|last| now_ns.saturating_sub(*last) < RARELY_NS) {
            return false;
        }
        if told.len() >= MOST {
            told.clear();
        }
        told.insert(key, now_ns);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_now_and_then() {
        let log = Log::default();
        let trouble = |seconds: u64, about: &str| {
            log.rarely(seconds * 1_000_000_000, about, || {
                GatewayEvent::now(GatewayEventKind::Unanswered)
            });
        };
        for seconds in 1..=21 {
            trouble(seconds, "a");
        }
        trouble(21, "b");
        assert_eq!(log.journal().recent().len(), 4);
    }
}
