//! An IPv4 or IPv6 address as the maps hold it, and which addresses a VM can have.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The third word of an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2); the two before it are zero.
const V4_MAPPED: u32 = 0xffff_u32.to_be();

/// An IPv4 or IPv6 address: 16 bytes in network byte order, IPv4 as `::ffff:a.b.c.d`.
///
/// Four words and not sixteen bytes, so that a BPF program keeps it in registers.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Address([u32; 4]);

impl Address {
    /// `::`, which no VM has.
    pub const UNSPECIFIED: Self = Self([0; 4]);

    /// An IPv4 address, as it stands in a header.
    #[inline(always)]
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self([0, 0, V4_MAPPED, u32::from_ne_bytes(octets)])
    }

    /// An IPv6 address, as it stands in a header.
    ///
    /// An IPv4-mapped address does not occur on a wire (RFC 4291 §2.5.5.2 makes it an API's form
    /// only), and believed it would take over the IPv4 address: it is read as unspecified.
    #[inline(always)]
    pub const fn v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        let address = Self([
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes([i, j, k, l]),
            u32::from_ne_bytes([m, n, o, p]),
        ]);
        if address.is_v4() {
            Self::UNSPECIFIED
        } else {
            address
        }
    }

    /// Its four words, as they stand in memory.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        self.0
    }

    /// Its two halves; both are 0 for `::` only.
    #[inline(always)]
    pub const fn halves(&self) -> [u64; 2] {
        let [a, b, c, d] = self.0;
        [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32]
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        self.0[0] == 0 && self.0[1] == 0 && self.0[2] == V4_MAPPED
    }

    /// Whether frames to this address are meant for more than one host, or for a link only:
    /// multicast, limited broadcast, link-local.
    #[inline(always)]
    pub const fn is_everyones(&self) -> bool {
        if self.is_v4() {
            let v4 = u32::from_be(self.0[3]);
            v4 >> 28 == 0xe || v4 >> 16 == 0xa9fe || v4 == u32::MAX
        } else {
            let high = u32::from_be(self.0[0]);
            high >> 24 == 0xff || high >> 22 == 0xfe80 >> 6
        }
    }

    /// Whether a VM can have this address: not unspecified, loopback, link-local, multicast or
    /// broadcast (RFC 6890; for IPv4 also none of 0.0.0.0/8 and 240.0.0.0/4).
    #[inline(always)]
    pub const fn is_vm(&self) -> bool {
        if self.is_everyones() {
            return false;
        }
        if self.is_v4() {
            let first = u32::from_be(self.0[3]) >> 24;
            first != 0 && first != 127 && first < 224
        } else {
            // Neither `::` nor `::1`.
            self.0[0] | self.0[1] | self.0[2] != 0 || u32::from_be(self.0[3]) > 1
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        if address.is_v4() {
            Self::V4(Ipv4Addr::from(address.0[3].to_ne_bytes()))
        } else {
            let octets: [u8; 16] = zerocopy::transmute!(address.0);
            Self::V6(Ipv6Addr::from(octets))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().expect("an address"))
    }

    #[test]
    fn addresses_a_vm_can_have() {
        for yes in [
            "10.0.0.5",
            "192.0.2.1",
            "1.1.1.1",
            "223.255.255.255",
            "2001:db8::5",
            "fd00::1",
            "::2",
            "fec0::1",
        ] {
            assert!(address(yes).is_vm(), "{yes}");
        }
        for no in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "169.254.3.4",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "::ffff:10.0.0.5",
        ] {
            // The last is unspecified once it is read from an IPv6 header.
            let a = match no.parse::<IpAddr>().expect("an address") {
                IpAddr::V4(v4) => Address::v4(v4.octets()),
                IpAddr::V6(v6) => Address::v6(v6.octets()),
            };
            assert!(!a.is_vm(), "{no}");
        }
    }

    #[test]
    fn there_and_back() {
        for text in ["10.0.0.5", "2001:db8::5"] {
            assert_eq!(IpAddr::from(address(text)).to_string(), text);
        }
    }
}
