//! How attachments, prefixes and static addresses are written.

use std::{fmt, str::FromStr};

use clap::ValueEnum;
use ipnet::IpNet;

use super::{ClientPort, Learn, Site};
use crate::types::{
    AddressError, NameError, PortError, PortName, SiteName, Tpid, TpidError, Vid, VidError,
    VmAddress,
};

/// What is wrong with the text of an attachment, a prefix or a static address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// No "=", or nothing before it.
    #[error("{text:?} has no `=`; write {shape}")]
    NoEquals {
        /// What was given.
        text: String,
        /// How it is written.
        shape: &'static str,
    },
    /// A site without a VLAN.
    #[error(
        "site {site} has no VLAN, and sites are told apart by it; write {site}={port}:VLAN, for example {site}={port}:1"
    )]
    NoVlan {
        /// The site.
        site: SiteName,
        /// Its port.
        port: PortName,
    },
    /// Something that is no prefix.
    #[error("{0:?} is not a prefix; write one like 10.0.0.0/24 or fd00::/64")]
    NotAPrefix(String),
    /// Something that is no way to learn.
    #[error("{0:?} says not which addresses are learned; write auto or moves-only")]
    NotALearn(String),
    /// A prefix that is an address at the same time: one of them is a typing error.
    #[error("prefix {given} has bits set behind its length; did you mean {meant}?")]
    HostBits {
        /// What was given.
        given: IpNet,
        /// The same without those bits.
        meant: IpNet,
    },
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The VLAN's id.
    #[error(transparent)]
    Vid(#[from] VidError),
    /// The kind of tag.
    #[error(transparent)]
    Tpid(#[from] TpidError),
    /// The site's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

fn halves<'a>(text: &'a str, shape: &'static str) -> Result<(&'a str, &'a str), AttachmentError> {
    text.split_once('=')
        .ok_or_else(|| AttachmentError::NoEquals {
            text: text.to_owned(),
            shape,
        })
}

/// `NAME=CIDR`: a prefix that is allowed at a site.
pub fn parse_prefix(text: &str) -> Result<(SiteName, IpNet), AttachmentError> {
    let (site, prefix) = halves(text, "NAME=CIDR")?;
    let given: IpNet = prefix
        .parse()
        .map_err(|_| AttachmentError::NotAPrefix(prefix.to_owned()))?;
    let meant = given.trunc();
    if given != meant {
        return Err(AttachmentError::HostBits { given, meant });
    }
    Ok((site.parse()?, given))
}

/// `ADDR=NAME`: an address that stays at a site.
pub fn parse_static(text: &str) -> Result<(VmAddress, SiteName), AttachmentError> {
    let (address, site) = halves(text, "ADDR=NAME")?;
    Ok((address.parse()?, site.parse()?))
}

/// `NAME=auto` or `NAME=moves-only`: which addresses are learned at a site.
pub fn parse_learn(text: &str) -> Result<(SiteName, Learn), AttachmentError> {
    let (site, learn) = halves(text, "NAME=auto or NAME=moves-only")?;
    let learn =
        Learn::from_str(learn, false).map_err(|_| AttachmentError::NotALearn(learn.to_owned()))?;
    Ok((site.parse()?, learn))
}

/// `PORT[:VLAN[/TPID]]`
impl FromStr for ClientPort {
    type Err = AttachmentError;

    fn from_str(text: &str) -> Result<Self, AttachmentError> {
        let (port, tag) = match text.split_once(':') {
            Some((port, tag)) => (port, Some(tag)),
            None => (text, None),
        };
        Ok(Self {
            port: port.parse()?,
            vlan: tag.map(tag_from_str).transpose()?,
        })
    }
}

fn tag_from_str(text: &str) -> Result<(Vid, Tpid), AttachmentError> {
    match text.split_once('/') {
        Some((vid, tpid)) => Ok((vid.parse()?, tpid.parse()?)),
        None => Ok((text.parse()?, Tpid::default())),
    }
}

/// `NAME=PORT:VLAN[/TPID]`; the allowed prefixes are given apart.
impl FromStr for Site {
    type Err = AttachmentError;

    fn from_str(text: &str) -> Result<Self, AttachmentError> {
        let (name, attachment) = halves(text, "NAME=PORT:VLAN")?;
        let name = name.parse()?;
        match attachment.parse()? {
            ClientPort { port, vlan: None } => Err(AttachmentError::NoVlan { site: name, port }),
            ClientPort {
                port,
                vlan: Some((vid, tpid)),
            } => Ok(Self {
                name,
                port,
                vid,
                tpid,
                allow: Vec::new(),
                learn: None,
            }),
        }
    }
}

impl fmt::Display for ClientPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)?;
        match self.vlan {
            None => Ok(()),
            Some((vid, Tpid::Dot1q)) => write!(f, ":{vid}"),
            Some((vid, tpid)) => write!(f, ":{vid}/{tpid}"),
        }
    }
}

impl Site {
    /// Where the site is attached, in the client's terms.
    pub(super) fn attachment(&self) -> ClientPort {
        ClientPort {
            port: self.port.clone(),
            vlan: Some((self.vid, self.tpid)),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.attachment())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_read_as_they_are_written() {
        for text in ["c0", "c0:5", "eth0.1:4094", "c0:5/802.1ad"] {
            assert_eq!(text.parse::<ClientPort>().expect(text).to_string(), text);
        }
        for text in ["dc1=t0:1", "dc-2=t0:2/802.1ad", "a.b=x=y:3"] {
            assert_eq!(text.parse::<Site>().expect(text).to_string(), text);
        }
        assert_eq!("c0:5/802.1q".parse(), "c0:5".parse::<ClientPort>());
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let site = |text: &str| text.parse::<Site>().expect_err(text).to_string();
        assert_eq!(site("dc1"), "\"dc1\" has no `=`; write NAME=PORT:VLAN");
        assert_eq!(
            site("dc1=t0"),
            "site dc1 has no VLAN, and sites are told apart by it; write dc1=t0:VLAN, for example dc1=t0:1"
        );
        assert_eq!(
            site("dc1=t0:0"),
            "VLAN id 0 names no VLAN, it marks a frame that has a priority only; use 1 to 4094"
        );
        assert!(site("dc1=:1").contains("network interface's name: it is empty"));
        assert!(site("=t0:1").contains("name of a site: it is empty"));
        assert!(site("dc1=t0:").contains("is not a number"));
        assert!(site("dc1=t0:1/").contains("no kind of VLAN tag"));
        assert!(site("dc1=t0:1:2").contains("is not a number"));
    }

    #[test]
    fn prefixes() {
        let error = |text: &str| parse_prefix(text).expect_err(text).to_string();
        assert!(parse_prefix("dc1=fd00::/64").is_ok());
        assert_eq!(
            error("dc1=10.0.0.0"),
            "\"10.0.0.0\" is not a prefix; write one like 10.0.0.0/24 or fd00::/64"
        );
        assert_eq!(
            error("dc1=10.0.0.5/24"),
            "prefix 10.0.0.5/24 has bits set behind its length; did you mean 10.0.0.0/24?"
        );
        assert_eq!(
            error("10.0.0.0/24"),
            "\"10.0.0.0/24\" has no `=`; write NAME=CIDR"
        );
    }

    #[test]
    fn statics() {
        let (address, site) = parse_static("fd00::5=dc1").expect("a static address");
        assert_eq!(
            (address.to_string(), site.as_str()),
            ("fd00::5".to_owned(), "dc1")
        );
        assert!(
            parse_static("ff02::1=dc1")
                .expect_err("multicast")
                .to_string()
                .contains("multicast")
        );
        assert!(
            parse_static("dc1=10.0.0.5")
                .expect_err("turned round")
                .to_string()
                .contains("\"dc1\" is not an IPv4")
        );
    }
}
