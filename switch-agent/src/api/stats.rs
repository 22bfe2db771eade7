//! The counters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{PortName, SiteName};

/// All counters of an instance, since its datapath was attached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Frames handed to the agent.
    pub misses: u64,
    /// Frames that should have been, but the way there was full.
    pub misses_lost: u64,
    /// Bindings that changed their site.
    pub moves: u64,
    /// Those of them that the datapath has moved by itself.
    pub moves_in_datapath: u64,
    /// What the datapath has learned by itself and had no room to tell the agent of: no event says so.
    pub records_lost: u64,
    /// Bindings made.
    pub created: u64,
    /// Questions to old sites whether an address still answers there. No port counts them as sent.
    pub questions: u64,
    /// Moves after which the address still answered at its old site.
    pub conflicts: u64,
    /// Moves of which no old site was asked, because too many were at that time.
    pub unconfirmed: u64,
    /// Evidence that was not believed, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Frames dropped, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Frames from the site that was just left, delivered.
    pub late: u64,
    /// Frames sent to every site.
    pub flooded: u64,
    /// Learning packets from gateways.
    pub learning_packets: u64,
    /// Frames left to the host.
    pub passed: u64,
    /// Frames that a handover could not keep in order.
    pub handover_overtaken: u64,
    /// From a frame's arrival to the new rules, in microseconds.
    pub learn_us: Latency,
    /// By port.
    pub ports: BTreeMap<PortName, PortStats>,
    /// By site; rx is what came from there.
    pub sites: BTreeMap<SiteName, SiteStats>,
    /// How full the table is.
    pub bindings: BindingStats,
    /// The agent.
    pub agent: AgentStats,
}

/// How long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How often it was measured.
    pub count: u64,
    /// Half were no longer than this.
    pub p50: u64,
    /// 99 of 100 were no longer than this.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// A port's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStats {
    /// How the programs are attached: `native` or `generic`; null: not known.
    pub mode: Option<String>,
    /// What came in and went out.
    #[serde(flatten)]
    pub counters: Counters,
}

/// A site's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteStats {
    /// What came in and went out.
    #[serde(flatten)]
    pub counters: Counters,
    /// Frames that limits kept from the agent, by limit.
    pub limited: BTreeMap<String, u64>,
}

/// What came in and went out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames in.
    pub rx_packets: u64,
    /// Bytes in.
    pub rx_bytes: u64,
    /// Frames out.
    pub tx_packets: u64,
    /// Bytes out.
    pub tx_bytes: u64,
}

/// How full the table is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingStats {
    /// Bindings there are.
    pub count: u64,
    /// Bindings there is room for.
    pub max: u64,
}

/// The agent behind the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStats {
    /// Whether one runs; if not, the counters are read from the pinned maps.
    pub running: bool,
    /// Its process; null: none.
    pub pid: Option<u32>,
    /// The version of the program that counted, or that reads the pinned maps.
    pub version: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Counters, all different.
    pub(crate) fn stats() -> Stats {
        let counters = |n| Counters {
            rx_packets: n,
            rx_bytes: n * 100,
            tx_packets: n + 1,
            tx_bytes: n * 100 + 100,
        };
        Stats {
            misses: 7,
            misses_lost: 1,
            moves: 2,
            moves_in_datapath: 15,
            records_lost: 19,
            created: 3,
            questions: 18,
            conflicts: 16,
            unconfirmed: 17,
            refused: BTreeMap::from([("pinned".to_owned(), 4)]),
            drops: BTreeMap::from([("malformed".to_owned(), 5), ("unknown".to_owned(), 6)]),
            late: 8,
            flooded: 9,
            learning_packets: 13,
            passed: 10,
            handover_overtaken: 11,
            learn_us: Latency {
                count: 2,
                p50: 80,
                p99: 95,
                max: 97,
            },
            ports: BTreeMap::from([
                (
                    "t0".parse().expect("a port"),
                    PortStats {
                        mode: None,
                        counters: counters(30),
                    },
                ),
                (
                    "c0".parse().expect("a port"),
                    PortStats {
                        mode: Some("native".to_owned()),
                        counters: counters(20),
                    },
                ),
            ]),
            sites: BTreeMap::from([(
                "dc1".parse().expect("a site"),
                SiteStats {
                    counters: counters(40),
                    limited: BTreeMap::from([("miss-rate".to_owned(), 14)]),
                },
            )]),
            bindings: BindingStats {
                count: 12,
                max: 65_536,
            },
            agent: AgentStats {
                running: true,
                pid: Some(4711),
                version: "0.1.0".to_owned(),
            },
        }
    }

    #[test]
    fn json_is_stable_and_reads_back() {
        let json = serde_json::to_string(&stats()).expect("JSON");
        assert_eq!(
            json,
            concat!(
                r#"{"misses":7,"misses_lost":1,"moves":2,"moves_in_datapath":15,"records_lost":19,"created":3,"questions":18,"conflicts":16,"unconfirmed":17,"refused":{"pinned":4},"#,
                r#""drops":{"malformed":5,"unknown":6},"late":8,"flooded":9,"learning_packets":13,"passed":10,"handover_overtaken":11,"#,
                r#""learn_us":{"count":2,"p50":80,"p99":95,"max":97},"#,
                r#""ports":{"c0":{"mode":"native","rx_packets":20,"rx_bytes":2000,"tx_packets":21,"tx_bytes":2100},"#,
                r#""t0":{"mode":null,"rx_packets":30,"rx_bytes":3000,"tx_packets":31,"tx_bytes":3100}},"#,
                r#""sites":{"dc1":{"rx_packets":40,"rx_bytes":4000,"tx_packets":41,"tx_bytes":4100,"limited":{"miss-rate":14}}},"#,
                r#""bindings":{"count":12,"max":65536},"#,
                r#""agent":{"running":true,"pid":4711,"version":"0.1.0"}}"#
            )
        );
        assert_eq!(
            serde_json::from_str::<Stats>(&json).expect("counters"),
            stats()
        );
    }
}
