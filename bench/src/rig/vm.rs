//! VMs by number: their addresses are strangers to each other, as those of many tenants are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lab::Mac;

/// Which addresses are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// The address of a VM: in 10.0.0.0/8, or in fd00::/104. Its last three bytes are
/// [`bench_ebpf::address`].
pub fn address(family: Family, number: u32) -> IpAddr {
    from_low(family, bench_ebpf::address(number))
}

/// The address with these low 24 bits.
pub fn from_low(family: Family, low: u32) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(10 << 24 | low).into(),
        Family::V6 => Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(low)).into(),
    }
}

/// The MAC of a VM, for both its addresses. Its last three bytes are those of the addresses.
pub fn mac(number: u32) -> Mac {
    let [_, a, b, c] = bench_ebpf::address(number).to_be_bytes();
    [0x02, 0, 0, a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_and_mac_end_alike() {
        let number = 7;
        let end = mac(number)[3..].to_vec();
        for (family, prefix) in [(Family::V4, "10."), (Family::V6, "fd00::")] {
            let address = address(family, number);
            assert!(address.to_string().starts_with(prefix), "{address}");
            let octets = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            assert!(octets.ends_with(&end), "{address} {end:?}");
        }
    }
}
