//! What a gateway tells: its counters, and what happened.

use std::{collections::BTreeMap, net::IpAddr, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    event::rfc3339,
    stats::{AgentStats, PortStats},
};
use crate::types::{MacAddress, PortName};

/// All counters of a gateway, since its datapath was attached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStats {
    /// Its id in learning packets; null: no agent runs.
    pub gateway: Option<u32>,
    /// Announcements that were believed, by kind.
    pub announcements: BTreeMap<String, u64>,
    /// Announcements that were not looked at, or not believed, by reason.
    pub ignored: BTreeMap<String, u64>,
    /// Learning packets.
    pub learning_packets: LearningPackets,
    /// Questions to stations of which only the MAC was known.
    pub questions: Questions,
    /// Announcements told by `--notify`.
    pub notify: Notify,
    /// Stations and addresses that are known.
    pub known: Known,
    /// Frames dropped, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Frames left to the host.
    pub passed: u64,
    /// By port.
    pub ports: BTreeMap<PortName, PortStats>,
    /// The agent.
    pub agent: AgentStats,
}

/// Learning packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearningPackets {
    /// That left.
    pub sent: u64,
    /// That could not leave.
    pub failed: u64,
    /// Announcements for which there is no destination of their family.
    pub no_destination: u64,
}

/// Questions to stations of which only the MAC was known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// That left.
    pub asked: u64,
    /// Addresses that were found by them.
    pub answered: u64,
    /// RARPs after which no address was found.
    pub unanswered: u64,
}

/// Announcements told by `--notify`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// That were taken.
    pub sent: u64,
    /// That were not.
    pub failed: u64,
}

/// Stations and addresses that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Stations, on both sides.
    pub stations: u64,
    /// Their addresses.
    pub addresses: u64,
    /// Addresses there is room for.
    pub max: u64,
}

/// Something that happened at a gateway. What has no meaning for a kind is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayEvent {
    /// When.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
    /// What.
    pub event: GatewayEventKind,
    /// The VM's MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// The VM's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What kind of announcement: `arp`, `na`, `weak-na` or `rarp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<String>,
    /// Why, or of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortName>,
}

impl GatewayEvent {
    /// An event of now, with nothing but what every event has.
    pub fn now(event: GatewayEventKind) -> Self {
        Self {
            time: SystemTime::now(),
            event,
            mac: None,
            address: None,
            announcement: None,
            reason: None,
            port: None,
        }
    }
}

/// The kinds of events of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayEventKind {
    /// A VM announced an address: learning packets are sent.
    Announced,
    /// A VM announced a MAC only: it is asked whether it has the address.
    Asked,
    /// It has.
    Answered,
    /// No address was found for a MAC.
    Unanswered,
    /// There is no destination of the address's family.
    NoDestination,
    /// Announcements came faster than they are looked at.
    Bounded,
    /// Learning packets could not be sent.
    SendFailed,
    /// A port is gone.
    PortGone,
    /// It is back and used again.
    PortBack,
}

impl GatewayEventKind {
    /// The word in tables and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Unanswered => "unanswered",
            Self::NoDestination => "no-destination",
            Self::Bounded => "bounded",
            Self::SendFailed => "send-failed",
            Self::PortGone => "port-gone",
            Self::PortBack => "port-back",
        }
    }
}

/// An announcement as `--notify` posts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// When it was heard.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
    /// The id of the gateway that heard it.
    pub gateway: u32,
    /// What kind of announcement: `arp`, `na`, `weak-na` or `rarp`.
    pub announcement: String,
    /// The VM's MAC.
    pub mac: MacAddress,
    /// The VM's address.
    pub address: IpAddr,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::stats::tests::stats as switch_stats;

    /// 10.0.0.5 announced by RARP.
    pub(crate) fn announced() -> GatewayEvent {
        GatewayEvent {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123),
            mac: Some(MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56])),
            address: Some(IpAddr::from([10, 0, 0, 5])),
            announcement: Some("rarp".to_owned()),
            ..GatewayEvent::now(GatewayEventKind::Announced)
        }
    }

    /// Counters, all different.
    pub(crate) fn gateway_stats() -> GatewayStats {
        let common = switch_stats();
        GatewayStats {
            gateway: Some(7),
            announcements: BTreeMap::from([("arp".to_owned(), 1), ("rarp".to_owned(), 2)]),
            ignored: BTreeMap::from([("malformed".to_owned(), 3)]),
            learning_packets: LearningPackets {
                sent: 4,
                failed: 5,
                no_destination: 6,
            },
            questions: Questions {
                asked: 7,
                answered: 8,
                unanswered: 9,
            },
            notify: Notify {
                sent: 10,
                failed: 11,
            },
            known: Known {
                stations: 12,
                addresses: 13,
                max: 65_536,
            },
            drops: BTreeMap::from([("no-leg".to_owned(), 14)]),
            passed: 15,
            ports: common.ports,
            agent: common.agent,
        }
    }

    #[test]
    fn json_reads_back() {
        let json = serde_json::to_string(&announced()).expect("JSON");
        assert_eq!(
            json,
            concat!(
                r#"{"time":"2026-01-01T00:00:00.123Z","event":"announced","mac":"52:54:00:12:34:56","#,
                r#""address":"10.0.0.5","announcement":"rarp"}"#
            )
        );
        let event: GatewayEvent = serde_json::from_str(&json).expect("an event");
        assert_eq!(event, announced());
        let json = serde_json::to_string(&gateway_stats()).expect("JSON");
        assert_eq!(
            serde_json::from_str::<GatewayStats>(&json).expect("counters"),
            gateway_stats()
        );
    }

    #[test]
    fn a_notification_is_flat() {
        let notification = Notification {
            time: announced().time,
            gateway: 7,
            announcement: "arp".to_owned(),
            mac: MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
            address: IpAddr::from([10, 0, 0, 5]),
        };
        assert_eq!(
            serde_json::to_string(&notification).expect("JSON"),
            concat!(
                r#"{"time":"2026-01-01T00:00:00.123Z","gateway":7,"announcement":"arp","#,
                r#""mac":"52:54:00:12:34:56","address":"10.0.0.5"}"#
            )
        );
    }
}
