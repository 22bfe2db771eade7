//! Ports, attachments, sites and networks: from the configuration into the maps, and their names
//! back out of the maps for whoever has no configuration.

use std::collections::{BTreeMap, HashMap, HashSet};

use aya::maps::{Array, DevMap, Map, MapData, MapError};
use switch_ebpf::abi::{
    Attachment, AttachmentKey, LEARN_ALWAYS, LEARN_NEVER, LEARN_WHEN_AGENT_IS_DOWN, Label, Leg,
    MAX_NETWORKS, MAX_PORTS, MAX_SITES, NO_SITE, Network, Port, ROLE_CLIENT, ROLE_SITE,
    UNKNOWN_DROP, UNKNOWN_FLOOD, names, traffic,
};

use super::{DatapathError, Pins, Tables, tables::found};
use crate::{
    config::{Config, LearnInDatapath, Site, Unknown, nanoseconds},
    net::link::Link,
    types::{PortName, SiteName},
};

/// Ethernet header and one VLAN tag, which a port may send beyond its MTU: `xdp_ok_fwd_dev` in
/// the kernel's net/core/filter.c allows `mtu + hard_header_len + VLAN_HLEN`.
const BEYOND_MTU: u32 = 14 + 4;

/// Frames to unknown stations: at most 1000 a second, and 100 at once.
const FLOOD_INTERVAL_NS: u64 = 1_000_000;
const FLOOD_BURST_NS: u64 = 100 * FLOOD_INTERVAL_NS;

/// A port of the running switch.
#[derive(Clone, Debug)]
pub struct PortEntry {
    /// Its index in the maps.
    pub index: u32,
    /// Its name.
    pub name: PortName,
    /// As it is.
    pub link: Link,
    /// [`switch_ebpf::abi::MODE_NATIVE`] or [`switch_ebpf::abi::MODE_GENERIC`].
    pub mode: u16,
}

/// A site of the running switch.
#[derive(Clone, Debug)]
pub struct SiteEntry {
    /// Its id in the maps.
    pub id: u32,
    /// Its configuration.
    pub site: Site,
    /// How frames leave for it.
    pub leg: Leg,
}

/// What the maps were told.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The network's id.
    pub network: u32,
    /// How frames leave for the client.
    pub client: Leg,
    /// The sites.
    pub sites: Vec<SiteEntry>,
    /// The ports.
    pub ports: Vec<PortEntry>,
}

impl Topology {
    /// Decides on ids, keeping those that the maps know by name, and writes everything but the
    /// flood map. Attachments and sites that are no longer wanted are removed.
    pub fn apply(
        config: &Config,
        links: &[(PortName, Link, u16)],
        pins: &Pins,
        tables: &mut Tables,
    ) -> Result<Self, DatapathError> {
        let ports = write_ports(
            links,
            pins,
            MAX_PORTS,
            &mut tables.ports,
            &mut tables.port_names,
        )?;
        let by_name: HashMap<&PortName, &PortEntry> =
            ports.iter().map(|port| (&port.name, port)).collect();
        let port = |name: &PortName| {
            by_name.get(name).copied().ok_or(DatapathError::Full {
                what: "port",
                max: MAX_PORTS,
            })
        };

        let network = id(
            &tables.network_names,
            MAX_NETWORKS,
            config.network.as_str(),
            &[],
            "network",
        )?;
        let client_port = port(&config.client.port)?;
        let tag = config
            .client
            .vlan
            .map(|(vid, tpid)| (tpid.value(), vid.get()));
        let client = leg(client_port, tag, traffic::client(network));
        let mut attachments = vec![attachment(
            client_port,
            &client,
            ROLE_CLIENT,
            network,
            NO_SITE,
        )];

        let (mut sites, mut taken) = (Vec::new(), Vec::new());
        for site in &config.sites {
            let label = label(config.network.as_str(), site.name.as_str());
            let id = id(&tables.site_names, MAX_SITES, &label, &taken, "site")?;
            taken.push(id);
            let port = port(&site.port)?;
            let leg = leg(
                port,
                Some((site.tpid.value(), site.vid.get())),
                traffic::site(id),
            );
            attachments.push(attachment(port, &leg, ROLE_SITE, network, id));
            tables
                .site_names
                .set(id, Label::new(&label), 0)
                .map_err(writing("name a site"))?;
            tables
                .sites
                .set(id, leg, 0)
                .map_err(writing("write a site"))?;
            sites.push(SiteEntry {
                id,
                site: site.clone(),
                leg,
            });
        }

        tables
            .network_names
            .set(network, Label::new(config.network.as_str()), 0)
            .map_err(writing("name a network"))?;
        let count = sites.len().try_into().unwrap_or(u32::MAX);
        tables
            .networks
            .set(network, self::network(config, client, count), 0)
            .map_err(writing("write a network"))?;
        // Before any frame of a new site gets in.
        tables.allowed.apply(&sites)?;
        forget_sites(tables, &taken)?;
        tables.attachments.apply(&attachments)?;
        Ok(Self {
            network,
            client,
            sites,
            ports,
        })
    }

    /// The site of a name.
    pub fn site(&self, name: &SiteName) -> Option<&SiteEntry> {
        self.sites.iter().find(|entry| entry.site.name == *name)
    }

    /// The site of an id.
    pub fn site_by_id(&self, id: u32) -> Option<&SiteEntry> {
        self.sites.iter().find(|entry| entry.id == id)
    }
}

/// A map could not be written.
pub(crate) fn writing(verb: &'static str) -> impl FnOnce(MapError) -> DatapathError {
    move |source| DatapathError::Map { verb, source }
}

fn label(network: &str, site: &str) -> String {
    format!("{network}/{site}")
}

/// How frames leave by a port, with a tag or without.
pub(crate) fn leg(port: &PortEntry, tag: Option<(u16, u16)>, traffic: u32) -> Leg {
    let (tpid, vid) = tag.unwrap_or((0, 0));
    let max_frame = port.link.mtu.saturating_add(BEYOND_MTU);
    Leg {
        port: port.index,
        traffic,
        max_frame,
        tpid,
        vid,
    }
}

fn attachment(
    port: &PortEntry,
    leg: &Leg,
    role: u32,
    network: u32,
    site: u32,
) -> (AttachmentKey, Attachment) {
    let key = AttachmentKey {
        ifindex: port.link.index,
        tpid: leg.tpid,
        vid: leg.vid,
    };
    let value = Attachment {
        role,
        network,
        site,
        traffic: leg.traffic,
        mac: port.link.mac,
        mode: port.mode,
    };
    (key, value)
}

fn network(config: &Config, client: Leg, sites: u32) -> Network {
    Network {
        client,
        learn_in_datapath: match config.learn_in_datapath {
            LearnInDatapath::WhenAgentIsDown => LEARN_WHEN_AGENT_IS_DOWN,
            LearnInDatapath::Always => LEARN_ALWAYS,
            LearnInDatapath::Never => LEARN_NEVER,
        },
        quarantine_moves: config.quarantine_moves,
        quarantine_window_ns: nanoseconds(config.quarantine_window),
        quarantine_ns: nanoseconds(config.quarantine_time),
        pin_mac: config.pin_mac.into(),
        unknown: match config.unknown {
            Unknown::Flood => UNKNOWN_FLOOD,
            Unknown::Drop => UNKNOWN_DROP,
        },
        sites,
        hold_down_data_ns: nanoseconds(config.hold_down_data),
        hold_down_announce_ns: nanoseconds(config.hold_down_announce),
        flood_interval_ns: FLOOD_INTERVAL_NS,
        flood_burst_ns: FLOOD_BURST_NS,
    }
}

/// The id that a name has in a table of names, or the first one that is free.
fn id(
    names: &Array<MapData, Label>,
    max: u32,
    name: &str,
    taken: &[u32],
    what: &'static str,
) -> Result<u32, DatapathError> {
    let mut free = None;
    for id in 0..max {
        let label = names.get(&id, 0).map_err(writing("read a name"))?;
        match label.text() {
            Some(text) if text == name => return Ok(id),
            None if free.is_none() && !taken.contains(&id) => free = Some(id),
            _ => {}
        }
    }
    free.ok_or(DatapathError::Full { what, max })
}

/// Writes an instance's ports, each with the index that it has, or a free one below `max`. Ports that
/// are no longer there are removed.
pub(crate) fn write_ports(
    links: &[(PortName, Link, u16)],
    pins: &Pins,
    max: u32,
    ports: &mut aya::maps::HashMap<MapData, u32, Port>,
    port_names: &mut Array<MapData, Label>,
) -> Result<Vec<PortEntry>, DatapathError> {
    let egress = MapData::from_pin(pins.map(names::EGRESS))
        .and_then(|data| DevMap::try_from(Map::DevMap(data)));
    let mut egress = egress.map_err(|source| DatapathError::Open {
        map: names::EGRESS,
        source,
    })?;
    let known: HashMap<u32, Port> = ports
        .iter()
        .collect::<Result<_, _>>()
        .map_err(writing("read the ports"))?;
    for ifindex in known
        .keys()
        .filter(|i| !links.iter().any(|(_, link, _)| link.index == **i))
    {
        ports.remove(ifindex).map_err(writing("remove a port"))?;
    }
    let mut used: HashSet<u32> = links
        .iter()
        .filter_map(|(_, link, _)| known.get(&link.index).map(|port| port.index))
        .collect();
    let mut entries = Vec::new();
    for (name, link, mode) in links {
        let index = match known.get(&link.index) {
            Some(port) => port.index,
            None => (0..max)
                .find(|index| !used.contains(index))
                .ok_or(DatapathError::Full { what: "port", max })?,
        };
        used.insert(index);
        egress
            .set(index, link.index, None, 0)
            .map_err(|source| DatapathError::Device {
                verb: "write a port's device",
                source,
            })?;
        port_names
            .set(index, Label::new(name.as_str()), 0)
            .map_err(writing("name a port"))?;
        ports
            .insert(
                link.index,
                Port {
                    index,
                    mac: link.mac,
                    mode: *mode,
                },
                0,
            )
            .map_err(writing("write a port"))?;
        entries.push(PortEntry {
            index,
            name: name.clone(),
            link: link.clone(),
            mode: *mode,
        });
    }
    Ok(entries)
}

fn forget_sites(tables: &mut Tables, wanted: &[u32]) -> Result<(), DatapathError> {
    for id in (0..MAX_SITES).filter(|id| !wanted.contains(id)) {
        let label = tables
            .site_names
            .get(&id, 0)
            .map_err(writing("read a name"))?;
        if label.text().is_some() {
            tables
                .sites
                .set(id, Leg::default(), 0)
                .map_err(writing("remove a site"))?;
            tables
                .site_names
                .set(id, Label::default(), 0)
                .map_err(writing("remove a site"))?;
        }
    }
    Ok(())
}

/// The names that the maps hold, and how each network's client and each site are attached.
#[derive(Debug, Default)]
pub struct Names {
    /// Network id → name and client leg.
    pub networks: BTreeMap<u32, (String, Leg)>,
    /// Site id → network, name and leg.
    pub sites: BTreeMap<u32, (String, String, Leg)>,
    /// Port index → name and XDP mode.
    pub ports: BTreeMap<u32, (String, u16)>,
}

impl Names {
    /// Reads them.
    pub fn read(tables: &Tables) -> Result<Self, MapError> {
        let mut names = Self::default();
        for id in 0..MAX_NETWORKS {
            if let Some(text) = tables.network_names.get(&id, 0)?.text() {
                let network = tables.networks.get(&id, 0)?;
                names.networks.insert(id, (text.to_owned(), network.client));
            }
        }
        for id in 0..MAX_SITES {
            let label = tables.site_names.get(&id, 0)?;
            if let Some((network, site)) = label.text().and_then(|text| text.split_once('/')) {
                let leg = tables.sites.get(&id, 0)?;
                names
                    .sites
                    .insert(id, (network.to_owned(), site.to_owned(), leg));
            }
        }
        for port in tables.ports.iter() {
            let (_, port) = port?;
            if let Some(label) = found(tables.port_names.get(&port.index, 0))?
                && let Some(text) = label.text()
            {
                names.ports.insert(port.index, (text.to_owned(), port.mode));
            }
        }
        Ok(names)
    }

    /// The name of a port.
    pub fn port(&self, index: u32) -> String {
        self.ports
            .get(&index)
            .map_or_else(|| format!("port{index}"), |(name, _)| name.clone())
    }

    /// The name of a site.
    pub fn site(&self, id: u32) -> Option<String> {
        self.sites.get(&id).map(|(_, name, _)| name.clone())
    }
}
