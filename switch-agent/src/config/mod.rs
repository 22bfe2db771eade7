//! What one switch is told to be: its client, its sites and its rules.

mod check;
mod parse;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, ops::Deref, path::PathBuf, time::Duration};

use clap::ValueEnum;
use ipnet::IpNet;

pub use check::ConfigError;
pub use parse::{AttachmentError, parse_learn, parse_prefix, parse_static};
pub use switch_ebpf::abi::DEFAULT_MAX_FLOWS;

use crate::types::{NetworkName, PortName, SiteName, Tpid, Vid, VmAddress};

/// Settings that go together: made by [`Config::new`] only, read like
/// [`Settings`].
#[derive(Debug, Clone, PartialEq)]
pub struct Config(Settings);

/// Everything that can be set. Each value is right by itself; whether they go
/// together is [`Config::new`]'s question.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The network that the client and the sites make up.
    pub network: NetworkName,
    /// Where the clients are.
    pub client: ClientPort,
    /// The data centres, in the order given.
    pub sites: Vec<Site>,
    /// Addresses that stay where the operator put them.
    pub statics: Vec<(VmAddress, SiteName)>,
    /// Whether an address that was never seen is learned.
    pub learn: Learn,
    /// Whether the datapath learns moves by itself.
    pub learn_in_datapath: LearnInDatapath,
    /// What becomes of a client's frame to an address that is not bound.
    pub unknown: Unknown,
    /// How long a data packet from the site that was just left is only late.
    pub hold_down_data: Duration,
    /// The same for an announcement.
    pub hold_down_announce: Duration,
    /// The move of this number within the window is a fight over the address.
    pub quarantine_moves: u16,
    /// The window in which moves are counted.
    pub quarantine_window: Duration,
    /// A quarantine ends by itself after this; zero: never.
    pub quarantine_time: Duration,
    /// Whether an address moves only with the MAC that it is bound for.
    pub pin_mac: bool,
    /// Room for so many bindings at each site; none: no limit but [`Settings::max_flows`].
    pub max_flows_per_site: Option<u32>,
    /// Forget a binding that carried nothing for so long; none: never.
    pub idle_timeout: Option<Duration>,
    /// Which announcements move all addresses of a MAC.
    pub move_together: MoveTogether,
    /// Whether the old place of an address is asked after a move.
    pub confirm: Confirm,
    /// What is done if it answers there.
    pub on_conflict: OnConflict,
    /// Where the key is that gateways sign learning packets with.
    pub key_file: Option<PathBuf>,
    /// Whether unsigned learning packets are refused.
    pub require_signed: bool,
    /// Whether learning packets go on to the client.
    pub pass_learning_packets: bool,
    /// Room for so many bindings; none: [`DEFAULT_MAX_FLOWS`].
    pub max_flows: Option<u32>,
    /// How the programs are attached to the ports.
    pub xdp_mode: XdpMode,
    /// What stays when the agent goes.
    pub on_exit: OnExit,
    /// Where the counters are served for Prometheus; none: nowhere.
    pub metrics: Option<SocketAddr>,
}

/// The client-side attachment: a port, untagged or with a VLAN of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPort {
    /// The network interface.
    pub port: PortName,
    /// The clients' VLAN on it; none: untagged.
    pub vlan: Option<(Vid, Tpid)>,
}

/// A data centre, reached through one VLAN of one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What the operator calls it.
    pub name: SiteName,
    /// The network interface.
    pub port: PortName,
    /// The VLAN.
    pub vid: Vid,
    /// The kind of tag.
    pub tpid: Tpid,
    /// The addresses that may be there; empty: all.
    pub allow: Vec<IpNet>,
    /// Whether new addresses are learned there; none: as everywhere.
    pub learn: Option<Learn>,
}

/// Which addresses are learned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Learn {
    /// New addresses are bound to the site they first speak from
    #[default]
    Auto,
    /// Only moves of addresses that were bound by an operator
    MovesOnly,
}

/// When the datapath applies the learning rule to data by itself, for addresses that are bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LearnInDatapath {
    /// While no agent has said for a second that it lives
    #[default]
    WhenAgentIsDown,
    /// At all times: a move costs no detour through the agent
    Always,
    /// Never: moves wait for the agent
    Never,
}

/// What becomes of a unicast frame to an address that is not bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Unknown {
    /// Send it to every site, at a limited rate
    #[default]
    Flood,
    /// Drop and count it
    Drop,
}

/// Which announcements move all addresses that are bound for the MAC of their sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MoveTogether {
    /// RARP, which names a MAC and no address
    #[default]
    Rarp,
    /// Also gratuitous ARP, unsolicited neighbour advertisements and learning packets
    Always,
    /// None: RARP is ignored
    Never,
}

/// Whether the old place of an address is asked after a move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Confirm {
    /// Ask it three times within a second, unless the move was signed or an operator's
    #[default]
    On,
    /// Ask nobody
    Off,
}

/// What is done about an address that still answers at the site it has moved from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OnConflict {
    /// Tell of it, and leave the address where it has moved to
    #[default]
    Alarm,
    /// Also move it back
    RollBack,
    /// Also hold it where it has moved to, until it is released
    Quarantine,
}

impl OnConflict {
    /// The word on the command line and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::RollBack => "roll-back",
            Self::Quarantine => "quarantine",
        }
    }
}

/// How XDP programs are attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum XdpMode {
    /// In the driver: fast; refused where the driver cannot
    #[default]
    Native,
    /// In the network stack: works on every port, slower
    Generic,
    /// Native where the driver can, else generic; the log and `stats` say which
    Auto,
}

/// What stays when the agent is told to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OnExit {
    /// Nothing: the ports are as they were before
    #[default]
    Detach,
    /// The datapath: it forwards by the bindings it has, the next `run` takes over
    Keep,
}

/// A duration as the maps and the learning rule hold it; 584 years and more are that.
pub fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

impl Config {
    /// Takes settings that go together, or says which do not.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        check::check(&settings)?;
        Ok(Self(settings))
    }

    /// How many bindings there is room for.
    pub fn flow_capacity(&self) -> u32 {
        self.max_flows.unwrap_or(DEFAULT_MAX_FLOWS)
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl Settings {
    /// The site of that name.
    pub fn site(&self, name: &SiteName) -> Option<&Site> {
        self.sites.iter().find(|site| site.name == *name)
    }
}

impl Site {
    /// Whether the address may be at this site.
    pub fn allows(&self, address: VmAddress) -> bool {
        self.allow.is_empty()
            || self
                .allow
                .iter()
                .any(|prefix| prefix.contains(&address.get()))
    }
}
