//! An address that a virtual machine can have.
//!
//! [`switch_ebpf::frame::Address::is_vm`] decides the same for the datapath; here the
//! operator is told the reason.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// An address that a virtual machine can have, and so one that can be bound to
/// a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "IpAddr", into = "IpAddr")]
pub struct VmAddress(IpAddr);

/// Why something is no address of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an IP address at all.
    #[error("{0:?} is not an IPv4 or IPv6 address")]
    NotAnAddress(String),
    /// An address, but one that no virtual machine is reached by.
    #[error("{0} cannot be a virtual machine's address: {1}")]
    Refused(IpAddr, AddressRule),
}

/// The kinds of addresses that are never a virtual machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRule {
    /// 0.0.0.0/8 or ::
    #[error("it stands for \"no address yet\"")]
    Unspecified,
    /// 127.0.0.0/8 or ::1
    #[error("it is a loopback address and never leaves a host")]
    Loopback,
    /// 169.254.0.0/16 or fe80::/10
    #[error("it is link-local, and every link may use it again")]
    LinkLocal,
    /// 224.0.0.0/4 or ff00::/8
    #[error("it is multicast, and names a group")]
    Multicast,
    /// 255.255.255.255
    #[error("it is the broadcast address, and means everyone")]
    Broadcast,
    /// 240.0.0.0/4
    #[error("240.0.0.0/4 is reserved, and hosts do not use it")]
    Reserved,
    /// ::ffff:0:0/96
    #[error("it is an IPv4 address mapped into IPv6; write the IPv4 address")]
    V4Mapped,
}

impl VmAddress {
    /// The address itself.
    pub fn get(self) -> IpAddr {
        self.0
    }
}

fn check_v4(address: Ipv4Addr) -> Result<(), AddressRule> {
    match address {
        a if a.octets()[0] == 0 => Err(AddressRule::Unspecified),
        a if a.is_loopback() => Err(AddressRule::Loopback),
        a if a.is_link_local() => Err(AddressRule::LinkLocal),
        a if a.is_multicast() => Err(AddressRule::Multicast),
        a if a.is_broadcast() => Err(AddressRule::Broadcast),
        a if a.octets()[0] >= 240 => Err(AddressRule::Reserved),
        _ => Ok(()),
    }
}

fn check_v6(address: Ipv6Addr) -> Result<(), AddressRule> {
    match address {
        a if a.is_unspecified() => Err(AddressRule::Unspecified),
        a if a.is_loopback() => Err(AddressRule::Loopback),
        a if a.is_unicast_link_local() => Err(AddressRule::LinkLocal),
        a if a.is_multicast() => Err(AddressRule::Multicast),
        a if a.to_ipv4_mapped().is_some() => Err(AddressRule::V4Mapped),
        _ => Ok(()),
    }
}

impl TryFrom<IpAddr> for VmAddress {
    type Error = AddressError;

    fn try_from(address: IpAddr) -> Result<Self, AddressError> {
        match address {
            IpAddr::V4(v4) => check_v4(v4),
            IpAddr::V6(v6) => check_v6(v6),
        }
        .map(|()| Self(address))
        .map_err(|rule| AddressError::Refused(address, rule))
    }
}

impl FromStr for VmAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        text.parse::<IpAddr>()
            .map_err(|_| AddressError::NotAnAddress(text.to_owned()))?
            .try_into()
    }
}

impl From<VmAddress> for IpAddr {
    fn from(address: VmAddress) -> Self {
        address.0
    }
}

impl fmt::Display for VmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_rule_is_named() {
        use AddressRule::*;
        for (text, rule) in [
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("::", Unspecified),
            ("127.0.0.1", Loopback),
            ("127.255.255.255", Loopback),
            ("::1", Loopback),
            ("169.254.0.1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("ff02::1", Multicast),
            ("255.255.255.255", Broadcast),
            ("240.0.0.1", Reserved),
            ("::ffff:10.0.0.5", V4Mapped),
        ] {
            let address = text.parse().expect(text);
            assert_eq!(
                text.parse::<VmAddress>(),
                Err(AddressError::Refused(address, rule)),
                "{text}"
            );
        }
        assert_eq!(
            "fe80::1"
                .parse::<VmAddress>()
                .expect_err("link-local")
                .to_string(),
            "fe80::1 cannot be a virtual machine's address: it is link-local, and every link may use it again"
        );
    }

    #[test]
    fn a_text_that_is_no_address() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.5/32",
            "dc1",
            "fe80::1%eth0",
            "010.0.0.1",
        ] {
            assert_eq!(
                text.parse::<VmAddress>(),
                Err(AddressError::NotAnAddress(text.to_owned()))
            );
        }
    }

    #[test]
    fn json_takes_the_same_door() {
        assert!(serde_json::from_str::<VmAddress>("\"127.0.0.1\"").is_err());
        let address: VmAddress = serde_json::from_str("\"fd00::5\"").expect("an address");
        assert_eq!(
            serde_json::to_string(&address).expect("JSON"),
            "\"fd00::5\""
        );
    }

    /// Any address, and often one whose first bytes have a meaning.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        let v6 = prop_oneof![
            Just(0),
            Just(1),
            Just(0xffff_0000_0000),
            Just(0xfe80 << 112),
            Just(0xff02 << 112)
        ];
        prop_oneof![
            any::<IpAddr>(),
            (v6, any::<u32>())
                .prop_map(|(high, low)| IpAddr::V6(Ipv6Addr::from(high | u128::from(low)))),
        ]
    }

    proptest! {
        #[test]
        fn the_datapath_agrees(address in addresses()) {
            let vm = VmAddress::try_from(address);
            prop_assert_eq!(vm.is_ok(), switch_ebpf::frame::Address::from(address).is_vm());
            if let Ok(vm) = vm {
                prop_assert_eq!(vm.to_string().parse::<VmAddress>(), Ok(vm));
            }
        }
    }
}
