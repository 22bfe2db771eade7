//! A gateway's maps, typed.

use std::collections::BTreeMap;

use aya::maps::{Array, HashMap, MapData, MapError, RingBuf};
use switch_ebpf::{
    abi::{
        AttachmentKey, Drop, Forwarded, Label, Leg, MAX_PORTS, Port,
        gateway::{
            self, Counter, Crossing, LAYOUT_VERSION, MAX_ADDRESSES, MODE_FORWARD, MODE_SNOOP,
            SIDE_LAN, SIDE_TRUNK, Station, StationAddress, StationState, agent,
        },
        names, traffic,
    },
    learning_packet::Announcement,
};

use super::config::{GatewayConfig, Mode};
use crate::{
    api::{AgentStats, GatewayStats, Known, LearningPackets, Notify, PortStats, Questions},
    config::ClientPort,
    datapath::{
        DatapathError, Pins, PortEntry, Tally, check_layout, leg, open, write_ports, writing,
    },
    net::link::Link,
    report::{counters, mode_name, plus},
    types::{InstanceName, PortName},
};

/// A gateway's maps.
pub struct GatewayTables {
    /// The counters.
    pub tally: Tally,
    ports: HashMap<MapData, u32, Port>,
    port_names: Array<MapData, Label>,
    crossings: HashMap<MapData, AttachmentKey, Crossing>,
    stations: HashMap<MapData, Station, StationState>,
    addresses: HashMap<MapData, StationAddress, u64>,
}

/// Index of the LAN's traffic counters.
pub const LAN_TRAFFIC: u32 = traffic::client(0);
/// Index of the trunk's.
pub const TRUNK_TRAFFIC: u32 = traffic::site(0);

/// The kinds of announcements, and their names.
pub const ANNOUNCEMENTS: [(Announcement, &str); 4] = [
    (Announcement::Arp, "arp"),
    (Announcement::Advertisement, "na"),
    (Announcement::WeakAdvertisement, "weak-na"),
    (Announcement::Rarp, "rarp"),
];

/// Why a gateway drops frames. It judges none of them.
const DROPS: [Drop; 6] = [
    Drop::TooBig,
    Drop::NoLeg,
    Drop::NoHeadroom,
    Drop::EthernetTruncated,
    Drop::EgressFull,
    Drop::EgressRefused,
];

/// The name of a kind of announcement.
pub fn announcement_name(announcement: Announcement) -> &'static str {
    ANNOUNCEMENTS
        .iter()
        .find(|(kind, _)| *kind == announcement)
        .map_or("unknown", |(_, name)| name)
}

impl GatewayTables {
    /// Opens what an instance has pinned.
    ///
    /// # Errors
    /// Nothing is pinned, or maps of another kind or layout.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        check_layout(pins, LAYOUT_VERSION)?;
        Ok(Self {
            tally: Tally::open(pins)?,
            ports: open!(pins, names::PORTS, HashMap),
            port_names: open!(pins, names::PORT_NAMES, Array),
            crossings: open!(pins, gateway::names::CROSSINGS, HashMap),
            stations: open!(pins, gateway::names::STATIONS, HashMap),
            addresses: open!(pins, gateway::names::ADDRESSES, HashMap),
        })
    }

    /// Writes what becomes of the frames of each port that is there.
    pub fn apply(
        &mut self,
        config: &GatewayConfig,
        links: &[(PortName, Link, u16)],
        pins: &Pins,
    ) -> Result<Vec<PortEntry>, DatapathError> {
        let ports = write_ports(
            links,
            pins,
            MAX_PORTS,
            &mut self.ports,
            &mut self.port_names,
        )?;
        let find = |name: &PortName| ports.iter().find(|port| port.name == *name);
        let sides = [
            (SIDE_LAN, config.lan.clone(), LAN_TRAFFIC),
            (SIDE_TRUNK, config.trunk.attachment(), TRUNK_TRAFFIC),
        ];
        let leg_of = |(_, at, traffic): &(u16, ClientPort, u32)| {
            find(&at.port).map_or_else(Leg::default, |port| leg(port, tag(at), *traffic))
        };
        let legs = [leg_of(&sides[0]), leg_of(&sides[1])];
        let mut wanted = Vec::new();
        for ((side, at, traffic), out) in sides.iter().zip([legs[1], legs[0]]) {
            let Some(port) = find(&at.port) else { continue };
            let (tpid, vid) = tag(at).unwrap_or_default();
            let key = AttachmentKey {
                ifindex: port.link.index,
                tpid,
                vid,
            };
            let crossing = Crossing {
                mode: match config.mode {
                    Mode::Forward => MODE_FORWARD,
                    Mode::Snoop => MODE_SNOOP,
                },
                xdp_mode: port.mode,
                traffic: *traffic,
                out,
                mac: port.link.mac,
                side: *side,
            };
            wanted.push((key, crossing));
        }
        self.write_crossings(&wanted)?;
        Ok(ports)
    }

    fn write_crossings(
        &mut self,
        wanted: &[(AttachmentKey, Crossing)],
    ) -> Result<(), DatapathError> {
        let keys: Vec<AttachmentKey> = self
            .crossings
            .keys()
            .collect::<Result<_, _>>()
            .map_err(writing("read the crossings"))?;
        // There is room for two, so that what is no longer wanted goes first.
        for key in keys {
            if !wanted.iter().any(|(wanted, _)| *wanted == key) {
                let removed = self.crossings.remove(&key);
                removed.map_err(writing("remove a crossing"))?;
            }
        }
        for (key, crossing) in wanted {
            let written = self.crossings.insert(key, crossing, 0);
            written.map_err(writing("write a crossing"))?;
        }
        Ok(())
    }

    /// Every address of every station, and when it was last seen, in no order.
    pub fn addresses(&self) -> impl Iterator<Item = Result<(StationAddress, u64), MapError>> {
        self.addresses.iter()
    }

    /// Every station, in no order.
    pub fn stations(&self) -> impl Iterator<Item = Result<Station, MapError>> {
        self.stations.keys()
    }

    /// Keeps an address that a station has. False where there is no room.
    pub fn keep_address(&mut self, about: &StationAddress, now_ns: u64, of: u64) -> bool {
        // The state first, as the datapath makes it: an address without a state would not be counted.
        self.set_count(&about.station, of).is_ok()
            && self.addresses.insert(about, now_ns, 0).is_ok()
    }

    /// Forgets an address of a station, which has so many left.
    pub fn forget_address(&mut self, about: &StationAddress, left: u64) -> Result<(), MapError> {
        match self.addresses.remove(about) {
            Ok(()) | Err(MapError::KeyNotFound) => self.set_count(&about.station, left),
            Err(error) => Err(error),
        }
    }

    /// Forgets a station.
    pub fn forget_station(&mut self, station: &Station) -> Result<(), MapError> {
        match self.stations.remove(station) {
            Err(MapError::KeyNotFound) => Ok(()),
            other => other,
        }
    }

    fn set_count(&mut self, station: &Station, addresses: u64) -> Result<(), MapError> {
        // The datapath may write it at the same time. What is lost then is one address too many, or
        // one announcement above the limit.
        let due_ns = match self.stations.get(station, 0) {
            Ok(state) => state.due_ns,
            Err(MapError::KeyNotFound) => 0,
            Err(error) => return Err(error),
        };
        self.stations
            .insert(station, StationState { due_ns, addresses }, 0)
    }

    /// Counts frames that the agent sent.
    pub fn count_sent(&mut self, traffic: u32, bytes: usize) -> Result<(), MapError> {
        let sent = Forwarded {
            packets: 1,
            bytes: bytes as u64,
        };
        self.tally.add_agent_traffic(traffic, sent)
    }
}

fn tag(at: &ClientPort) -> Option<(u16, u16)> {
    at.vlan.map(|(vid, tpid)| (tpid.value(), vid.get()))
}

/// The ring of notices of an instance. One reader at a time: it moves the ring's read position.
pub fn open_notices(pins: &Pins) -> Result<RingBuf<MapData>, DatapathError> {
    Ok(open!(pins, gateway::names::NOTICES, RingBuf))
}

/// The maps of a gateway that no agent runs for; nothing where none are pinned, or another kind's.
pub fn offline(instance: &InstanceName) -> Result<Option<GatewayTables>, DatapathError> {
    let pins = Pins::of(instance);
    if !pins.map(names::META).exists() {
        return Ok(None);
    }
    match GatewayTables::open(&pins) {
        Err(DatapathError::OtherKind { .. }) => Ok(None),
        tables => tables.map(Some),
    }
}

/// The counters. What only a running agent knows is left empty.
pub fn report(tables: &GatewayTables) -> Result<GatewayStats, MapError> {
    let tally = &tables.tally;
    let mut announcements = BTreeMap::new();
    for (kind, name) in ANNOUNCEMENTS {
        let count = tally.agent(agent::ANNOUNCED + u32::from(u8::from(kind)))?;
        announcements.insert(name.to_owned(), count);
    }
    let mut ignored = BTreeMap::new();
    for counter in [
        Counter::StationBound,
        Counter::LanBound,
        Counter::TooLong,
        Counter::NoticeLost,
        Counter::AddressBound,
        Counter::StationsFull,
    ] {
        ignored.insert(counter.name().to_owned(), tally.counter(counter as u32)?);
    }
    for (name, index) in [
        ("malformed", agent::MALFORMED),
        ("overloaded", agent::OVERLOADED),
    ] {
        ignored.insert(name.to_owned(), tally.agent(index)?);
    }
    let mut drops = BTreeMap::new();
    for reason in DROPS {
        drops.insert(reason.name().to_owned(), tally.drops(reason)?);
    }
    Ok(GatewayStats {
        gateway: None,
        announcements,
        ignored,
        learning_packets: LearningPackets {
            sent: tally.agent(agent::SENT)?,
            failed: tally.agent(agent::FAILED)?,
            no_destination: tally.agent(agent::NO_DESTINATION)?,
        },
        questions: Questions {
            asked: tally.agent(agent::ASKED)?,
            answered: tally.agent(agent::ANSWERED)?,
            unanswered: tally.agent(agent::UNANSWERED)?,
        },
        notify: Notify {
            sent: tally.agent(agent::NOTIFIED)?,
            failed: tally.agent(agent::NOTIFY_FAILED)?,
        },
        known: Known {
            stations: tables.stations.keys().count() as u64,
            addresses: tables.addresses.keys().count() as u64,
            max: MAX_ADDRESSES.into(),
        },
        drops,
        passed: tally.counter(Counter::Passed as u32)?,
        ports: port_stats(tables)?,
        agent: AgentStats {
            running: false,
            pid: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })
}

fn port_stats(tables: &GatewayTables) -> Result<BTreeMap<PortName, PortStats>, MapError> {
    let mut all = BTreeMap::new();
    for port in tables.ports.iter() {
        let (ifindex, port) = port?;
        let mut sum = counters(&tables.tally.traffic(traffic::port(port.index))?);
        for crossing in tables.crossings.iter() {
            let (key, crossing) = crossing?;
            if key.ifindex == ifindex {
                sum = plus(&sum, &counters(&tables.tally.traffic(crossing.traffic)?));
            }
        }
        let label = tables.port_names.get(&port.index, 0)?;
        if let Some(name) = label.text().and_then(|text| text.parse().ok()) {
            let mode = mode_name(port.mode).map(str::to_owned);
            all.insert(
                name,
                PortStats {
                    mode,
                    counters: sum,
                },
            );
        }
    }
    Ok(all)
}
