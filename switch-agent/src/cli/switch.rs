//! The switch's own options: `run` and `check` have the same.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use humantime::Duration;
use ipnet::IpNet;

use crate::{
    config::{
        ClientPort, Config, ConfigError, Confirm, Learn, LearnInDatapath, MoveTogether, OnConflict,
        OnExit, Settings, Site, Unknown, XdpMode, parse_learn, parse_prefix, parse_static,
    },
    types::{NetworkName, SiteName, VmAddress},
};

/// The switch's ports and rules.
#[derive(Debug, Clone, Args)]
pub struct SwitchArgs {
    /// The port where the clients are, untagged or with a VLAN; PORT:VLAN/802.1ad for a service tag
    #[arg(long, value_name = "PORT[:VLAN]")]
    pub client: ClientPort,

    /// A data centre and the trunk port and VLAN it is reached through, PORT:VLAN/802.1ad for a
    /// service tag; once for each
    #[arg(long = "site", value_name = "NAME=PORT:VLAN", required = true)]
    pub sites: Vec<Site>,

    /// Addresses that may be at a site; may be repeated; a site without any takes all
    #[arg(long, value_name = "NAME=CIDR", value_parser = parse_prefix)]
    pub allow: Vec<(SiteName, IpNet)>,

    /// An address that is at this site and never moves; may be repeated
    #[arg(long = "static", value_name = "ADDR=NAME", value_parser = parse_static)]
    pub statics: Vec<(VmAddress, SiteName)>,

    /// Which addresses are learned
    #[arg(long, value_enum, default_value_t)]
    pub learn: Learn,

    /// The same at one site; may be repeated
    #[arg(long, value_name = "NAME=WHICH", value_parser = parse_learn)]
    pub learn_at: Vec<(SiteName, Learn)>,

    /// When the datapath moves bound addresses by itself
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub learn_in_datapath: LearnInDatapath,

    /// What becomes of a client's frame to an address that no site is known for
    #[arg(long, value_enum, default_value_t)]
    pub unknown: Unknown,

    /// After a move, packets still arriving from the old site do not move the address back for so long
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub hold_down: Duration,

    /// The same for announcements (gratuitous ARP, neighbour advertisements)
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub hold_down_announce: Duration,

    /// Hold an address where it is at its move of this number in the window
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub quarantine_moves: u16,

    /// The window in which an address's moves are counted
    #[arg(long, value_name = "TIME", default_value = "180s")]
    pub quarantine_window: Duration,

    /// End a quarantine by itself after so long; 0s: only `release` ends it
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub quarantine_time: Duration,

    /// Move an address only with the MAC that it was learned with
    #[arg(long)]
    pub pin_mac: bool,

    /// Which announcements move all addresses of their sender's MAC
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    pub move_together: MoveTogether,

    /// Whether the old site is asked after a move if the address still answers there
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t)]
    pub confirm: Confirm,

    /// What is done if it does
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub on_conflict: OnConflict,

    /// The key that gateways sign learning packets with
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// Refuse learning packets that are not signed
    #[arg(long, requires = "key_file")]
    pub require_signed: bool,

    /// Let learning packets through to the client, whose node may answer them with errors
    #[arg(long)]
    pub pass_learning_packets: bool,

    /// Forget an address that was silent for so long [default: never]
    #[arg(long, value_name = "TIME")]
    pub idle_timeout: Option<Duration>,

    /// Room for so many addresses [default: 65536]
    #[arg(long, value_name = "N")]
    pub max_flows: Option<u32>,

    /// Room for so many addresses at each site [default: no limit of its own]
    #[arg(long, value_name = "N")]
    pub max_flows_per_site: Option<u32>,

    /// How the datapath is attached to the ports
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub xdp_mode: XdpMode,

    /// What stays on SIGINT or SIGTERM
    #[arg(long, value_enum, default_value_t)]
    pub on_exit: OnExit,

    /// Serve the counters for Prometheus at http://ADDR:PORT/metrics
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
}

impl SwitchArgs {
    /// The configuration that the options make up. An error is wrong usage.
    pub fn config(self) -> Result<Config, ConfigError> {
        let mut sites = self.sites;
        for (name, prefix) in self.allow {
            let site = named(&mut sites, &name, || format!("--allow {name}={prefix}"))?;
            site.allow.push(prefix);
        }
        for (name, learn) in self.learn_at {
            let site = named(&mut sites, &name, || format!("--learn-at {name}=…"))?;
            site.learn = Some(learn);
        }
        Config::new(Settings {
            network: NetworkName::default(),
            client: self.client,
            sites,
            statics: self.statics,
            learn: self.learn,
            learn_in_datapath: self.learn_in_datapath,
            unknown: self.unknown,
            hold_down_data: self.hold_down.into(),
            hold_down_announce: self.hold_down_announce.into(),
            quarantine_moves: self.quarantine_moves,
            quarantine_window: self.quarantine_window.into(),
            quarantine_time: self.quarantine_time.into(),
            pin_mac: self.pin_mac,
            max_flows_per_site: self.max_flows_per_site,
            move_together: self.move_together,
            confirm: self.confirm,
            on_conflict: self.on_conflict,
            key_file: self.key_file,
            require_signed: self.require_signed,
            pass_learning_packets: self.pass_learning_packets,
            idle_timeout: self.idle_timeout.map(Into::into),
            max_flows: self.max_flows,
            xdp_mode: self.xdp_mode,
            on_exit: self.on_exit,
            metrics: self.metrics,
        })
    }
}

/// The site that an option names.
fn named<'a>(
    sites: &'a mut [Site],
    name: &SiteName,
    option: impl FnOnce() -> String,
) -> Result<&'a mut Site, ConfigError> {
    match sites.iter().position(|site| site.name == *name) {
        Some(at) => Ok(&mut sites[at]),
        None => Err(ConfigError::unknown_site(option(), name, sites)),
    }
}
