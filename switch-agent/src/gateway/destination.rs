//! Whom learning packets are addressed to.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::types::{MacAddress, MacError};

/// A node on the client's side, or a group of nodes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// Its address.
    pub address: IpAddr,
    /// Its MAC, where the operator gave it.
    pub mac: Option<MacAddress>,
}

/// What is wrong with the text of a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// No address.
    #[error(
        "{0:?} is not an IPv4 or IPv6 address; write IP or IP@MAC, for example 10.0.0.1, ff02::1 or 10.0.0.1@52:54:00:12:34:56"
    )]
    NotAnAddress(String),
    /// An address to which no packet of a VM can go.
    #[error("learning packets cannot be addressed to {0}: {1}")]
    Refused(IpAddr, &'static str),
    /// No MAC.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// A MAC of more than one station, or of none.
    #[error(
        "{mac} cannot be the MAC of {address}: it is {what}; leave it out to have it looked up"
    )]
    NotAStation {
        /// The address.
        address: IpAddr,
        /// What was given as its MAC.
        mac: MacAddress,
        /// What that is.
        what: &'static str,
    },
    /// The MAC of a group is given by its address.
    #[error("{0} is a group's address, which gives the MAC by itself; write it without @{1}")]
    MacOfGroup(IpAddr, MacAddress),
}

impl Destination {
    /// Whether a packet from this address can be addressed to it.
    pub fn is_of_family(&self, source: IpAddr) -> bool {
        self.address.is_ipv4() == source.is_ipv4()
    }

    /// The MAC that follows from the address, as a group's does (RFC 1112 §6.4, RFC 2464 §7).
    pub fn group_mac(&self) -> Option<MacAddress> {
        match self.address {
            IpAddr::V4(v4) if v4.is_broadcast() => Some(MacAddress::BROADCAST),
            IpAddr::V4(v4) if v4.is_multicast() => {
                let [_, b, c, d] = v4.octets();
                Some(MacAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
            }
            IpAddr::V6(v6) if v6.is_multicast() => {
                let [.., a, b, c, d] = v6.octets();
                Some(MacAddress([0x33, 0x33, a, b, c, d]))
            }
            _ => None,
        }
    }
}

/// `IP[@MAC]`
impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let (address, mac) = match text.split_once('@') {
            Some((address, mac)) => (address, Some(mac.parse()?)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| DestinationError::NotAnAddress(text.to_owned()))?;
        let why = match address {
            a if a.is_unspecified() => Some("it names nobody"),
            a if a.is_loopback() => Some("a loopback address never leaves a host"),
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                Some("it is an IPv4 address mapped into IPv6; write the IPv4 address")
            }
            IpAddr::V6(v6) if v6.is_multicast() && v6.octets()[1] & 0xf <= 1 => {
                Some("a group of this scope never leaves a host; ff02::1 is everyone on a link")
            }
            _ => None,
        };
        if let Some(why) = why {
            return Err(DestinationError::Refused(address, why));
        }
        let destination = Self { address, mac };
        match mac {
            None => {}
            Some(mac) if destination.group_mac().is_some() => {
                return Err(DestinationError::MacOfGroup(address, mac));
            }
            Some(mac) if mac.0 == [0; 6] || mac.0[0] & 1 == 1 => {
                let what = if mac.0[0] & 1 == 1 {
                    "a group's"
                } else {
                    "nobody's"
                };
                return Err(DestinationError::NotAStation { address, mac, what });
            }
            Some(_) => {}
        }
        Ok(destination)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mac {
            None => self.address.fmt(f),
            Some(mac) => write!(f, "{}@{mac}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(text: &str) -> Option<String> {
        let destination: Destination = text.parse().expect(text);
        assert_eq!(destination.to_string(), text);
        destination.group_mac().map(|mac| mac.to_string())
    }

    #[test]
    fn a_group_has_the_mac_of_its_address() {
        for (text, expected) in [
            ("224.0.0.1", "01:00:5e:00:00:01"),
            ("239.129.2.3", "01:00:5e:01:02:03"),
            ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
            ("ff02::1", "33:33:00:00:00:01"),
            ("ff05::1:2:dead:beef", "33:33:de:ad:be:ef"),
        ] {
            assert_eq!(mac(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["10.0.0.1", "10.0.0.1@52:54:00:12:34:56", "fd00::1"] {
            assert_eq!(mac(text), None, "{text}");
        }
    }

    #[test]
    fn families() {
        let v4: Destination = "10.0.0.1".parse().expect("IPv4");
        assert!(v4.is_of_family(IpAddr::from([10, 0, 0, 5])));
        assert!(!v4.is_of_family(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 5])));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = |text: &str| text.parse::<Destination>().expect_err(text).to_string();
        assert!(error("10.0.0").contains("write IP or IP@MAC"));
        assert!(error("10.0.0.1@52:54").contains("is not an Ethernet address"));
        assert!(error("0.0.0.0").contains("names nobody"));
        assert!(error("::1").contains("loopback"));
        assert!(error("ff01::1").contains("ff02::1"));
        assert!(error("::ffff:10.0.0.1").contains("write the IPv4 address"));
        assert!(error("10.0.0.1@01:00:5e:00:00:01").contains("it is a group's"));
        assert!(error("10.0.0.1@00:00:00:00:00:00").contains("it is nobody's"));
        assert!(error("ff02::1@52:54:00:12:34:56").contains("write it without @52"));
    }
}
