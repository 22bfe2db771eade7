//! What a gateway is told to be.

use std::{ops::Deref, path::PathBuf};

use clap::ValueEnum;
use thiserror::Error;

use super::destination::Destination;
use crate::{
    config::{AttachmentError, ClientPort, OnExit, XdpMode},
    types::{PortName, Tpid, Vid},
};

/// Settings that go together: made by [`GatewayConfig::new`] only, read like [`GatewaySettings`].
#[derive(Debug, Clone)]
pub struct GatewayConfig(GatewaySettings);

/// Everything that can be set. Each value is right by itself; whether they go together is
/// [`GatewayConfig::new`]'s question.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// The data centre's LAN.
    pub lan: ClientPort,
    /// The way to the switch.
    pub trunk: Trunk,
    /// Whether frames are carried from one to the other.
    pub mode: Mode,
    /// Whom learning packets are addressed to.
    pub destinations: Vec<Destination>,
    /// The key that they are signed with.
    pub key_file: Option<PathBuf>,
    /// The gateway's id in them; none: made of the trunk port's MAC.
    pub id: Option<u32>,
    /// The file of which addresses a MAC may have.
    pub addresses: Option<PathBuf>,
    /// Who else is told of announcements.
    pub notify: Option<HttpUrl>,
    /// Where the sequence numbers are kept.
    pub state_dir: PathBuf,
    /// How the program is attached to the ports.
    pub xdp_mode: XdpMode,
    /// What stays when the agent goes.
    pub on_exit: OnExit,
}

/// A VLAN of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// The network interface.
    pub port: PortName,
    /// The site's VLAN.
    pub vid: Vid,
    /// The kind of tag.
    pub tpid: Tpid,
}

/// Whether frames are carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Carry all frames between the LAN and the trunk's VLAN
    #[default]
    Forward,
    /// Listen only; something else on this box forwards
    Snoop,
}

/// Where to post announcements: `http://HOST[:PORT][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

/// Settings that do not go together. All of them are wrong usage.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GatewayConfigError {
    /// A trunk without a VLAN.
    #[error("the trunk {0} has no VLAN, by which the switch tells sites apart; write {0}:VLAN")]
    NoVlan(PortName),
    /// What stands before or behind the colon.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// One place for both.
    #[error(
        "the LAN and the trunk are both at {0}; give one another port, or the LAN a VLAN of its own"
    )]
    SamePlace(ClientPort),
    /// Untagged frames of a trunk port belong to the host.
    #[error(
        "the LAN is untagged on {0}, which is the trunk's port, where untagged frames stay the host's; \
         write --lan {0}:VLAN, or give the LAN another port"
    )]
    UntaggedOnTrunk(PortName),
    /// One destination twice.
    #[error("--announce-to {0} is given twice")]
    DestinationTwice(Destination),
    /// Not a URL of HTTP.
    #[error("{0:?} is not a URL to post to; write http://HOST[:PORT][/PATH]")]
    NotHttp(String),
}

impl GatewayConfig {
    /// Takes settings that go together, or says which do not.
    ///
    /// # Errors
    /// What is wrong.
    pub fn new(settings: GatewaySettings) -> Result<Self, GatewayConfigError> {
        let (lan, trunk) = (&settings.lan, settings.trunk.attachment());
        if *lan == trunk {
            return Err(GatewayConfigError::SamePlace(trunk));
        }
        if lan.port == trunk.port && lan.vlan.is_none() {
            return Err(GatewayConfigError::UntaggedOnTrunk(trunk.port));
        }
        let mut seen = Vec::new();
        for destination in &settings.destinations {
            if seen.contains(&destination.address) {
                return Err(GatewayConfigError::DestinationTwice(*destination));
            }
            seen.push(destination.address);
        }
        Ok(Self(settings))
    }
}

impl Deref for GatewayConfig {
    type Target = GatewaySettings;

    fn deref(&self) -> &GatewaySettings {
        &self.0
    }
}

impl Trunk {
    /// Where it is, in the LAN's terms.
    pub fn attachment(&self) -> ClientPort {
        ClientPort {
            port: self.port.clone(),
            vlan: Some((self.vid, self.tpid)),
        }
    }
}

/// `PORT:VLAN[/TPID]`
impl std::str::FromStr for Trunk {
    type Err = GatewayConfigError;

    fn from_str(text: &str) -> Result<Self, GatewayConfigError> {
        let ClientPort { port, vlan } = text.parse()?;
        match vlan {
            Some((vid, tpid)) => Ok(Self { port, vid, tpid }),
            None => Err(GatewayConfigError::NoVlan(port)),
        }
    }
}

impl HttpUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for HttpUrl {
    type Err = GatewayConfigError;

    fn from_str(text: &str) -> Result<Self, GatewayConfigError> {
        let parsed = ureq::http::Uri::try_from(text).ok();
        let is_http = |uri: &ureq::http::Uri| uri.scheme_str() == Some("http");
        match parsed
            .filter(is_http)
            .is_some_and(|uri| uri.host().is_some_and(|h| !h.is_empty()))
        {
            true => Ok(Self(text.to_owned())),
            false => Err(GatewayConfigError::NotHttp(text.to_owned())),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::gateway) fn settings(lan: &str, trunk: &str, to: &[&str]) -> GatewaySettings {
        GatewaySettings {
            lan: lan.parse().expect("a LAN"),
            trunk: trunk.parse().expect("a trunk"),
            mode: Mode::default(),
            destinations: to
                .iter()
                .map(|t| t.parse().expect("a destination"))
                .collect(),
            key_file: None,
            id: None,
            addresses: None,
            notify: None,
            state_dir: PathBuf::new(),
            xdp_mode: XdpMode::default(),
            on_exit: OnExit::default(),
        }
    }

    #[test]
    fn what_does_not_go_together() {
        let error = |lan, trunk, to: &[&str]| {
            GatewayConfig::new(settings(lan, trunk, to))
                .expect_err("wrong")
                .to_string()
        };
        assert!(GatewayConfig::new(settings("t0:3", "t0:2", &["10.0.0.1", "ff02::1"])).is_ok());
        assert!(error("t0:2", "t0:2", &[]).contains("are both at t0:2"));
        assert!(error("t0", "t0:2", &[]).contains("write --lan t0:VLAN"));
        let twice = ["10.0.0.1", "10.0.0.1@52:54:00:00:00:01"];
        assert!(error("lan", "t0:2", &twice).contains("is given twice"));
    }

    #[test]
    fn trunks_and_urls() {
        let trunk = |text: &str| {
            text.parse::<Trunk>()
                .map(|trunk| trunk.attachment().to_string())
        };
        assert_eq!(trunk("up:1/802.1ad"), Ok("up:1/802.1ad".to_owned()));
        assert!(
            trunk("up")
                .expect_err("no VLAN")
                .to_string()
                .contains("write up:VLAN")
        );
        assert!(trunk("up:0").is_err());
        for text in [
            "http://10.0.0.9:8080/moved",
            "http://[fd00::9]:80",
            "http://controller",
        ] {
            assert_eq!(text.parse::<HttpUrl>().expect(text).as_str(), text);
        }
        for text in [
            "",
            "controller:80",
            "https://x",
            "ftp://x",
            "http://",
            "http:///x",
            "http://a b",
        ] {
            assert!(text.parse::<HttpUrl>().is_err(), "{text}");
        }
    }
}
