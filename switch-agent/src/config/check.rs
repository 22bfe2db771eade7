//! Whether settings go together.

use std::{collections::HashSet, time::Duration};

use ipnet::IpNet;

use super::{ClientPort, DEFAULT_MAX_FLOWS, Settings, Site};
use crate::types::{PortName, SiteName, VmAddress};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const SECOND: Duration = Duration::from_secs(1);
/// Bounds the kernel memory that a typing error can take.
const MOST_FLOWS: u32 = 4_194_304;

/// Settings that do not go together. All of them are wrong usage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nowhere to switch to.
    #[error("there is no site to switch to; give at least one --site NAME=PORT:VLAN")]
    NoSite,
    /// One name for two sites.
    #[error(
        "site {0} is given twice; a site has one port and VLAN, so give the second another name"
    )]
    SiteTwice(SiteName),
    /// One attachment for two sites.
    #[error(
        "sites {first} and {second} are both at {at}, so their frames could not be told apart; give one another VLAN or port"
    )]
    AttachmentTwice {
        /// The site given first.
        first: SiteName,
        /// The site given after it.
        second: SiteName,
        /// Where both are.
        at: ClientPort,
    },
    /// One attachment for the client and a site.
    #[error(
        "the client and site {site} are both at {at}, so their frames could not be told apart; give one another VLAN or port"
    )]
    ClientIsSite {
        /// The site.
        site: SiteName,
        /// Where both are.
        at: ClientPort,
    },
    /// Untagged frames of a trunk port belong to the host.
    #[error(
        "the client is untagged on {port}, which is site {site}'s port, where untagged frames stay the host's; write --client {port}:VLAN, or give the client another port"
    )]
    UntaggedOnTrunk {
        /// The site.
        site: SiteName,
        /// The port of both.
        port: PortName,
    },
    /// A name that no `--site` gives.
    #[error("{option} names site {site}, which is not there; the sites are {known}")]
    UnknownSite {
        /// The option and its value, as given.
        option: String,
        /// The name.
        site: SiteName,
        /// The names that are there.
        known: String,
    },
    /// One address in two places.
    #[error(
        "--static {address} is given twice, for {first} and for {second}; an address has one place"
    )]
    StaticTwice {
        /// The address.
        address: VmAddress,
        /// Its first site.
        first: SiteName,
        /// Its second.
        second: SiteName,
    },
    /// An address where it may not be.
    #[error("--static {address}={site} is outside what --allow gives site {site}: {allowed}")]
    StaticNotAllowed {
        /// The address.
        address: VmAddress,
        /// The site.
        site: SiteName,
        /// Its prefixes.
        allowed: String,
    },
    /// More static addresses than bindings.
    #[error("{given} static addresses do not fit into --max-flows {most}; raise it")]
    TooManyStatics {
        /// How many there are.
        given: usize,
        /// How many fit.
        most: u32,
    },
    /// A time that makes no sense for what it is.
    #[error("{option} {} {why}; use {least} to {most}", humantime::format_duration(*.given))]
    Time {
        /// The option.
        option: &'static str,
        /// Its value.
        given: Duration,
        /// What speaks against it.
        why: &'static str,
        /// The least that is taken.
        least: &'static str,
        /// The most that is taken.
        most: &'static str,
    },
    /// The first move would be a quarantine.
    #[error("--quarantine-moves {0} would hold an address at its first move; use 2 or more")]
    QuarantineMoves(u16),
    /// No room at any site.
    #[error("--max-flows-per-site 0 would learn nothing; use 1 or more, or --learn moves-only")]
    MaxFlowsPerSite,
    /// No room, or more than a kernel map should have.
    #[error("--max-flows {0} is not possible; use 1 to {MOST_FLOWS}")]
    MaxFlows(u32),
}

impl ConfigError {
    /// A name in `option` that is not among the sites.
    pub fn unknown_site(option: String, site: &SiteName, sites: &[Site]) -> Self {
        Self::UnknownSite {
            option,
            site: site.clone(),
            known: list(sites.iter().map(|site| &site.name)),
        }
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    texts.join(", ")
}

/// Whether the settings go together.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    sites(&settings.sites)?;
    client(&settings.client, &settings.sites)?;
    statics(settings)?;
    numbers(settings)
}

fn sites(sites: &[Site]) -> Result<(), ConfigError> {
    if sites.is_empty() {
        return Err(ConfigError::NoSite);
    }
    for (n, second) in sites.iter().enumerate() {
        for first in &sites[..n] {
            if first.name == second.name {
                return Err(ConfigError::SiteTwice(second.name.clone()));
            }
            if first.attachment() == second.attachment() {
                return Err(ConfigError::AttachmentTwice {
                    first: first.name.clone(),
                    second: second.name.clone(),
                    at: second.attachment(),
                });
            }
        }
    }
    Ok(())
}

fn client(client: &ClientPort, sites: &[Site]) -> Result<(), ConfigError> {
    let Some(site) = sites.iter().find(|site| {
        site.port == client.port && client.vlan.is_none_or(|vlan| vlan == (site.vid, site.tpid))
    }) else {
        return Ok(());
    };
    let name = site.name.clone();
    Err(match client.vlan {
        Some(_) => ConfigError::ClientIsSite {
            site: name,
            at: client.clone(),
        },
        None => ConfigError::UntaggedOnTrunk {
            site: name,
            port: client.port.clone(),
        },
    })
}

fn statics(settings: &Settings) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for (address, name) in &settings.statics {
        let option = || format!("--static {address}={name}");
        let site = settings
            .site(name)
            .ok_or_else(|| ConfigError::unknown_site(option(), name, &settings.sites))?;
        if !seen.insert(address) {
            let first = settings
                .statics
                .iter()
                .find(|(other, _)| other == address)
                .map(|(_, site)| site);
            return Err(ConfigError::StaticTwice {
                address: *address,
                first: first.unwrap_or(name).clone(),
                second: name.clone(),
            });
        }
        if !site.allows(*address) {
            return Err(ConfigError::StaticNotAllowed {
                address: *address,
                site: name.clone(),
                allowed: list::<&IpNet>(&site.allow),
            });
        }
    }
    let most = settings.max_flows.unwrap_or(DEFAULT_MAX_FLOWS);
    let given = settings.statics.len();
    if u32::try_from(given).is_ok_and(|given| given <= most) {
        Ok(())
    } else {
        Err(ConfigError::TooManyStatics { given, most })
    }
}

fn numbers(settings: &Settings) -> Result<(), ConfigError> {
    for (option, given) in [
        ("--hold-down", settings.hold_down_data),
        ("--hold-down-announce", settings.hold_down_announce),
    ] {
        if given > HOUR {
            let why = "would keep an address from moving back for too long";
            return Err(ConfigError::Time {
                option,
                given,
                why,
                least: "0s",
                most: "1h",
            });
        }
    }
    let given = settings.quarantine_window;
    if !(SECOND..=DAY).contains(&given) {
        let why = "is no time to count moves in";
        return Err(ConfigError::Time {
            option: "--quarantine-window",
            given,
            why,
            least: "1s",
            most: "1day",
        });
    }
    let given = settings.quarantine_time;
    if given != Duration::ZERO && !(SECOND..=YEAR).contains(&given) {
        let why = "is no time to hold an address for (0s: until it is released)";
        return Err(ConfigError::Time {
            option: "--quarantine-time",
            given,
            why,
            least: "1s",
            most: "365days",
        });
    }
    if let Some(given) = settings
        .idle_timeout
        .filter(|given| !(SECOND..=YEAR).contains(given))
    {
        let why = "is no time to forget a silent address after";
        return Err(ConfigError::Time {
            option: "--idle-timeout",
            given,
            why,
            least: "1s",
            most: "365days",
        });
    }
    if settings.quarantine_moves < 2 {
        return Err(ConfigError::QuarantineMoves(settings.quarantine_moves));
    }
    if settings.max_flows_per_site == Some(0) {
        return Err(ConfigError::MaxFlowsPerSite);
    }
    match settings.max_flows {
        Some(flows) if !(1..=MOST_FLOWS).contains(&flows) => Err(ConfigError::MaxFlows(flows)),
        _ => Ok(()),
    }
}
