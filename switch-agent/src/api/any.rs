//! What an instance of either kind tells.

use serde::{Deserialize, Serialize};

use super::{Event, GatewayEvent, GatewayStats, Stats};

/// An event. The JSON is that of the kind it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyEvent {
    /// A switch's.
    Switch(Event),
    /// A gateway's.
    Gateway(GatewayEvent),
}

/// Counters. The JSON is that of the kind they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyStats {
    /// A switch's.
    Switch(Box<Stats>),
    /// A gateway's.
    Gateway(Box<GatewayStats>),
}

impl AnyEvent {
    /// The word for what happened, in tables and in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Switch(event) => event.event.as_str(),
            Self::Gateway(event) => event.event.as_str(),
        }
    }
}

impl From<Event> for AnyEvent {
    fn from(event: Event) -> Self {
        Self::Switch(event)
    }
}

impl From<GatewayEvent> for AnyEvent {
    fn from(event: GatewayEvent) -> Self {
        Self::Gateway(event)
    }
}

impl From<Stats> for AnyStats {
    fn from(stats: Stats) -> Self {
        Self::Switch(Box::new(stats))
    }
}

impl From<GatewayStats> for AnyStats {
    fn from(stats: GatewayStats) -> Self {
        Self::Gateway(Box::new(stats))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{announced, gateway_stats, moved, stats};

    #[test]
    fn each_kind_is_told_from_the_other() {
        for event in [AnyEvent::from(moved()), announced().into()] {
            let json = serde_json::to_string(&event).expect("JSON");
            let read: AnyEvent = serde_json::from_str(&json).expect("an event");
            assert_eq!(read, event);
        }
        for stats in [AnyStats::from(stats()), gateway_stats().into()] {
            let json = serde_json::to_string(&stats).expect("JSON");
            let read: AnyStats = serde_json::from_str(&json).expect("counters");
            assert_eq!(read, stats);
        }
    }
}
