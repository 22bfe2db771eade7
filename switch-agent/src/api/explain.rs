//! Why an address is where it is, and what would happen to it now.

use std::{collections::BTreeMap, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{Evidence, FlowState, event::rfc3339};
use crate::types::{MacAddress, NetworkName, SiteName, VmAddress};

/// What the agent knows of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Where the address is unique.
    pub network: NetworkName,
    /// The virtual machine's address.
    pub address: VmAddress,
    /// Where it is; null: it is not bound.
    pub binding: Option<Bound>,
    /// The last evidence for it that reached the agent; null: none is remembered.
    pub evidence: Option<Seen>,
    /// The old site that is being asked whether it still answers there; null: none.
    pub asking: Option<Asking>,
    /// Each site, in the order of the configuration.
    pub sites: Vec<SiteView>,
}

/// Where an address is. Ages in milliseconds, as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The site.
    pub site: SiteName,
    /// How it came there.
    pub state: FlowState,
    /// Where it was before its last move.
    pub previous_site: Option<SiteName>,
    /// The Ethernet address of the evidence that brought it there.
    pub mac: Option<MacAddress>,
    /// Since it was bound first.
    pub created_ms: u64,
    /// Since its last move; null: it has not moved.
    pub moved_ms: Option<u64>,
    /// Since the last frame from it that was forwarded, late ones left out; null: none was.
    pub seen_ms: Option<u64>,
    /// Moves in the window that is open, which count towards a quarantine.
    pub moves_in_window: u16,
}

/// Evidence that reached the agent. What the datapath forwards by itself does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
    /// The site that it came from.
    pub site: SiteName,
    /// Its class.
    pub evidence: Evidence,
    /// The header of the frame that brought it: MACs, tags, ethertype, addresses.
    pub frame: String,
}

/// A question that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The site that is asked.
    pub site: SiteName,
    /// How often it was.
    pub tries: u32,
}

/// A site, as far as the address is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteView {
    /// The site.
    pub site: SiteName,
    /// Attempts of the address there that the agent has refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// What would happen to data from there now.
    pub data: Prospect,
    /// The same for an announcement.
    pub announce: Prospect,
}

/// What would happen to evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prospect {
    /// `create`, `refresh`, `move`, `late`, `quarantine` or `refuse`.
    pub verdict: String,
    /// Why it would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    /// 10.0.0.5 after a move from dc1 to dc2.
    pub(crate) fn explanation() -> Explanation {
        let name = |text: &str| text.parse().expect("a name");
        let prospect = |verdict: &str, reason: Option<&str>| Prospect {
            verdict: verdict.to_owned(),
            reason: reason.map(str::to_owned),
        };
        Explanation {
            network: NetworkName::default(),
            address: "10.0.0.5".parse().expect("an address"),
            binding: Some(Bound {
                site: name("dc2"),
                state: FlowState::Learned,
                previous_site: Some(name("dc1")),
                mac: Some(MacAddress([2, 0, 0, 0, 0, 5])),
                created_ms: 9000,
                moved_ms: Some(250),
                seen_ms: Some(3),
                moves_in_window: 1,
            }),
            evidence: Some(Seen {
                time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123),
                site: name("dc2"),
                evidence: Evidence::Data,
                frame: "02:00:00:00:00:05 > 02:00:00:00:00:01, vlan 2, IPv4 0x0800, 10.0.0.5 > 10.0.0.1"
                    .to_owned(),
            }),
            asking: Some(Asking {
                site: name("dc1"),
                tries: 1,
            }),
            sites: vec![
                SiteView {
                    site: name("dc1"),
                    refused: BTreeMap::new(),
                    data: prospect("late", None),
                    announce: prospect("move", None),
                },
                SiteView {
                    site: name("dc2"),
                    refused: BTreeMap::new(),
                    data: prospect("refresh", None),
                    announce: prospect("refresh", None),
                },
                SiteView {
                    site: name("dc3"),
                    refused: BTreeMap::from([("unauthorised".to_owned(), 2)]),
                    data: prospect("refuse", Some("unauthorised")),
                    announce: prospect("refuse", Some("unauthorised")),
                },
            ],
        }
    }

    #[test]
    fn json_is_stable_and_reads_back() {
        let json = serde_json::to_string(&explanation()).expect("JSON");
        assert_eq!(
            json,
            concat!(
                r#"{"network":"default","address":"10.0.0.5","#,
                r#""binding":{"site":"dc2","state":"learned","previous_site":"dc1","mac":"02:00:00:00:00:05","#,
                r#""created_ms":9000,"moved_ms":250,"seen_ms":3,"moves_in_window":1},"#,
                r#""evidence":{"time":"2026-01-01T00:00:00.123Z","site":"dc2","evidence":"data","#,
                r#""frame":"02:00:00:00:00:05 > 02:00:00:00:00:01, vlan 2, IPv4 0x0800, 10.0.0.5 > 10.0.0.1"},"#,
                r#""asking":{"site":"dc1","tries":1},"sites":["#,
                r#"{"site":"dc1","refused":{},"data":{"verdict":"late"},"announce":{"verdict":"move"}},"#,
                r#"{"site":"dc2","refused":{},"data":{"verdict":"refresh"},"announce":{"verdict":"refresh"}},"#,
                r#"{"site":"dc3","refused":{"unauthorised":2},"data":{"verdict":"refuse","reason":"unauthorised"},"#,
                r#""announce":{"verdict":"refuse","reason":"unauthorised"}}]}"#
            )
        );
        let read: Explanation = serde_json::from_str(&json).expect("an explanation");
        assert_eq!(read, explanation());
    }
}
