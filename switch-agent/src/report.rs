//! The flow table and the counters, read from the maps: the same with and without an agent.

use std::collections::BTreeMap;

use aya::maps::MapError;
use switch_ebpf::{
    abi::{
        Binding, BindingKey, Counter, Drop, Leg, Limited, MODE_GENERIC, MODE_NATIVE, agent, traffic,
    },
    rule::Refusal,
};

use crate::{
    api::{
        AgentStats, BindingStats, Counters, Flow, FlowState, Latency, PortStats, Rule, SiteStats,
        Stats, Traffic,
    },
    config::{ClientPort, Site},
    datapath::{Names, Tables},
    types::{MacAddress, Tpid, Vid, VmAddress},
};

/// The flow table, by address.
pub fn flows(tables: &Tables) -> Result<Vec<Flow>, MapError> {
    let names = Names::read(tables)?;
    let mut flows = Vec::new();
    for entry in tables.bindings() {
        let (key, binding) = entry?;
        // A binding that is removed in this moment, or whose site is, is no flow any more.
        flows.extend(flow(tables, &names, &key, &binding)?);
    }
    flows.sort_by_key(|flow: &Flow| (flow.network.clone(), flow.address.get()));
    Ok(flows)
}

fn flow(
    tables: &Tables,
    names: &Names,
    key: &BindingKey,
    binding: &Binding,
) -> Result<Option<Flow>, MapError> {
    let counted = tables.flow_traffic(key, binding.slot)?;
    let address = std::net::IpAddr::from(key.address);
    let (Ok(address), Some((network, client)), Some(site)) = (
        VmAddress::try_from(address),
        names.networks.get(&key.network),
        site(names, binding.site),
    ) else {
        return Ok(None);
    };
    let (Ok(network), Some(client)) = (network.parse(), client_port(names, client)) else {
        return Ok(None);
    };
    let up = Traffic {
        packets: counted.up_packets,
        bytes: counted.up_bytes,
    };
    let down = Traffic {
        packets: counted.down_packets,
        bytes: counted.down_bytes,
    };
    Ok(Some(Flow {
        network,
        address,
        state: FlowState::from(binding.state),
        previous_site: names
            .site(binding.previous_site)
            .and_then(|name| name.parse().ok()),
        mac: (binding.mac != [0; 6]).then_some(MacAddress(binding.mac)),
        uplink: Rule::uplink(&client, &site, address, up),
        downlink: Rule::downlink(&client, &site, address, down),
        site: site.name,
    }))
}

fn tag(leg: &Leg) -> Option<(Vid, Tpid)> {
    let (tpid, vid) = leg.tag()?;
    Some((Vid::try_from(vid).ok()?, Tpid::try_from(tpid).ok()?))
}

fn client_port(names: &Names, leg: &Leg) -> Option<ClientPort> {
    Some(ClientPort {
        port: names.port(leg.port).parse().ok()?,
        vlan: tag(leg),
    })
}

fn site(names: &Names, id: u32) -> Option<Site> {
    let (_, name, leg) = names.sites.get(&id)?;
    let (vid, tpid) = tag(leg)?;
    let port = names.port(leg.port).parse().ok()?;
    Some(Site {
        name: name.parse().ok()?,
        port,
        vid,
        tpid,
        allow: Vec::new(),
        learn: None,
    })
}

/// The counters. What only a running agent knows is left empty.
pub fn stats(tables: &Tables) -> Result<Stats, MapError> {
    let names = Names::read(tables)?;
    let (mut ports, mut sites) = (BTreeMap::new(), BTreeMap::new());
    for (index, (name, mode)) in &names.ports {
        let stray = tables.traffic(traffic::port(*index))?;
        ports.insert(*index, (name, *mode, counters(&stray)));
    }
    let mut add = |leg: &Leg| -> Result<Counters, MapError> {
        let counted = counters(&tables.traffic(leg.traffic)?);
        if let Some((_, _, sum)) = ports.get_mut(&leg.port) {
            *sum = plus(sum, &counted);
        }
        Ok(counted)
    };
    for (_, client) in names.networks.values() {
        add(client)?;
    }
    for (id, (_, name, leg)) in &names.sites {
        let mut limited = BTreeMap::new();
        for limit in Limited::ALL {
            limited.insert(limit.name().to_owned(), tables.limited(*id, *limit)?);
        }
        if let (counters, Ok(name)) = (add(leg)?, name.parse()) {
            sites.insert(name, SiteStats { counters, limited });
        }
    }
    let mut drops = BTreeMap::new();
    for reason in Drop::ALL {
        drops.insert(reason.name().to_owned(), tables.drops(*reason)?);
    }
    drops.insert("undelivered".to_owned(), tables.agent(agent::UNDELIVERED)?);
    let mut refused = BTreeMap::new();
    for reason in Refusal::ALL {
        let count = tables.agent(agent::REFUSED + reason as u32)?;
        refused.insert(reason.name().to_owned(), count);
    }
    Ok(Stats {
        misses: tables.counter(Counter::Misses)? + tables.counter(Counter::Queued)?,
        misses_lost: tables.drops(Drop::MissLost)?,
        moves: tables.agent(agent::MOVES)? + tables.counter(Counter::Moves)?,
        moves_in_datapath: tables.counter(Counter::Moves)?,
        records_lost: tables.counter(Counter::RecordsLost)?,
        created: tables.agent(agent::CREATED)?,
        questions: tables.agent(agent::QUESTIONS)?,
        conflicts: tables.agent(agent::CONFLICTS)?,
        unconfirmed: tables.agent(agent::UNCONFIRMED)?,
        refused,
        drops,
        late: tables.counter(Counter::Late)? + tables.agent(agent::LATE)?,
        flooded: tables.counter(Counter::Flooded)?,
        learning_packets: tables.counter(Counter::LearningPackets)?,
        passed: tables.counter(Counter::Passed)?,
        handover_overtaken: tables.counter(Counter::Overtaken)?,
        learn_us: Latency::default(),
        ports: ports
            .into_values()
            .filter_map(|(name, mode, counters)| {
                let mode = mode_name(mode).map(str::to_owned);
                Some((name.parse().ok()?, PortStats { mode, counters }))
            })
            .collect(),
        sites,
        bindings: BindingStats {
            count: tables.bindings().count() as u64,
            max: tables.max_flows()?.into(),
        },
        agent: AgentStats {
            running: false,
            pid: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })
}

/// The XDP mode of a port, in a word.
pub(crate) fn mode_name(mode: u16) -> Option<&'static str> {
    match mode {
        MODE_NATIVE => Some("native"),
        MODE_GENERIC => Some("generic"),
        _ => None,
    }
}

/// Counted traffic, in the words of the API.
pub(crate) fn counters(traffic: &switch_ebpf::abi::Traffic) -> Counters {
    Counters {
        rx_packets: traffic.rx_packets,
        rx_bytes: traffic.rx_bytes,
        tx_packets: traffic.tx_packets,
        tx_bytes: traffic.tx_bytes,
    }
}

/// The sum of two.
pub(crate) fn plus(a: &Counters, b: &Counters) -> Counters {
    Counters {
        rx_packets: a.rx_packets + b.rx_packets,
        rx_bytes: a.rx_bytes + b.rx_bytes,
        tx_packets: a.tx_packets + b.tx_packets,
        tx_bytes: a.tx_bytes + b.tx_bytes,
    }
}
