//! What happened to an address.

use std::{net::IpAddr, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::types::{MacAddress, NetworkName, SiteName};

/// What happened to an address. What has no meaning for a kind is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
    /// What.
    pub event: EventKind,
    /// Where the address is unique.
    pub network: NetworkName,
    /// The address; any, because one that no virtual machine can have is refused.
    pub address: IpAddr,
    /// The site it was at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SiteName>,
    /// The site it is at, or was heard from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SiteName>,
    /// What spoke for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Why it was refused, quarantined or removed; for a duplicate, what was done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For a duplicate: the MAC that it moved with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// For a duplicate: the MAC that still answers at the old site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_mac: Option<MacAddress>,
    /// From the frame's arrival to the new rules, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn_us: Option<u64>,
    /// From the last frame at the old site to the first at the new one, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<u64>,
}

impl Event {
    /// An event of now, with nothing but what every event has.
    pub fn now(event: EventKind, network: NetworkName, address: IpAddr) -> Self {
        Self {
            time: SystemTime::now(),
            event,
            network,
            address,
            from: None,
            to: None,
            evidence: None,
            reason: None,
            mac: None,
            old_mac: None,
            learn_us: None,
            gap_ms: None,
        }
    }
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A new binding.
    Created,
    /// A binding changed its site.
    Moved,
    /// Evidence was not believed.
    Refused,
    /// It has moved, and still answers at its old site.
    Duplicate,
    /// It is held where it is: it moved too often, or was a duplicate.
    Quarantined,
    /// A quarantine ended.
    Released,
    /// A binding went.
    Removed,
}

impl EventKind {
    /// The word in tables and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Moved => "moved",
            Self::Refused => "refused",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
            Self::Removed => "removed",
        }
    }
}

/// What speaks for an address being at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// An IP packet.
    Data,
    /// A gratuitous ARP, an unsolicited neighbour advertisement, a learning packet.
    Announce,
    /// An operator's word.
    Operator,
}

impl Evidence {
    /// The word in tables and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Announce => "announce",
            Self::Operator => "operator",
        }
    }
}

/// Times as in `2026-01-31T12:00:00.123Z`.
pub(super) mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::time_text(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map_err(|error| D::Error::custom(format!("{text:?} is not a time: {error}")))
    }
}

/// A time with milliseconds, in UTC. A clock set before 1970 shows 1970:
/// humantime cannot write what is before it.
pub(crate) fn time_text(time: SystemTime) -> impl std::fmt::Display {
    humantime::format_rfc3339_millis(time.max(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    /// A move of 10.0.0.5 to dc2.
    pub(crate) fn moved() -> Event {
        Event {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123),
            from: Some("dc1".parse().expect("a name")),
            to: Some("dc2".parse().expect("a name")),
            evidence: Some(Evidence::Data),
            learn_us: Some(85),
            gap_ms: Some(61),
            ..Event::now(
                EventKind::Moved,
                NetworkName::default(),
                IpAddr::from([10, 0, 0, 5]),
            )
        }
    }

    #[test]
    fn json_is_the_designs() {
        let json = serde_json::to_string(&moved()).expect("JSON");
        assert_eq!(
            json,
            concat!(
                r#"{"time":"2026-01-01T00:00:00.123Z","event":"moved","network":"default","address":"10.0.0.5","#,
                r#""from":"dc1","to":"dc2","evidence":"data","learn_us":85,"gap_ms":61}"#
            )
        );
        assert_eq!(
            serde_json::from_str::<Event>(&json).expect("an event"),
            moved()
        );
    }

    #[test]
    fn a_duplicate_has_both_macs() {
        let duplicate = Event {
            event: EventKind::Duplicate,
            evidence: None,
            reason: Some("alarm".to_owned()),
            mac: Some(MacAddress([2, 0, 0, 0, 0, 2])),
            old_mac: Some(MacAddress([2, 0, 0, 0, 0, 1])),
            learn_us: None,
            gap_ms: None,
            ..moved()
        };
        let json = serde_json::to_string(&duplicate).expect("JSON");
        assert_eq!(
            json,
            concat!(
                r#"{"time":"2026-01-01T00:00:00.123Z","event":"duplicate","network":"default","address":"10.0.0.5","#,
                r#""from":"dc1","to":"dc2","reason":"alarm","mac":"02:00:00:00:00:02","old_mac":"02:00:00:00:00:01"}"#
            )
        );
        let read: Event = serde_json::from_str(&json).expect("an event");
        assert_eq!(read, duplicate);
    }

    #[test]
    fn a_clock_before_1970_does_no_harm() {
        let event = Event {
            time: SystemTime::UNIX_EPOCH - Duration::from_secs(1),
            ..moved()
        };
        assert!(
            serde_json::to_string(&event)
                .expect("JSON")
                .contains("1970-01-01T00:00:00.000Z")
        );
    }
}
