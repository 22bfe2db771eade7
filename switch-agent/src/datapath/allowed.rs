//! Which addresses each site may claim, from the configuration into the datapath.

use std::collections::HashSet;

use aya::maps::{
    Array, MapData, MapError,
    lpm_trie::{Key, LpmTrie},
};
use ipnet::IpNet;
use switch_ebpf::{
    abi::{AllowKey, SitePolicy, names},
    frame::Address,
};

use super::{DatapathError, Pins, SiteEntry, tables::open};

/// The maps of that.
pub struct Allowed {
    policies: Array<MapData, SitePolicy>,
    prefixes: LpmTrie<MapData, AllowKey, u32>,
}

impl Allowed {
    /// Opens what an instance has pinned.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self {
            policies: open!(pins, names::SITE_POLICIES, Array),
            prefixes: open!(pins, names::ALLOWED, LpmTrie),
        })
    }

    /// Writes the prefixes of these sites, and removes all others. A site is never without some that
    /// it had before and has after.
    pub fn apply(&mut self, sites: &[SiteEntry]) -> Result<(), DatapathError> {
        let error = |source: MapError| DatapathError::Map {
            verb: "write the allowed prefixes",
            source,
        };
        let mut wanted = HashSet::new();
        for entry in sites {
            for prefix in &entry.site.allow {
                let key = key(entry.id, prefix);
                self.prefixes.insert(&key, 1, 0).map_err(error)?;
                wanted.insert(identity(&key));
            }
        }
        for entry in sites {
            let restricted = u32::from(!entry.site.allow.is_empty());
            let policy = SitePolicy { restricted };
            self.policies.set(entry.id, policy, 0).map_err(error)?;
        }
        let there: Vec<_> = self
            .prefixes
            .keys()
            .collect::<Result<_, _>>()
            .map_err(error)?;
        for key in there.iter().filter(|key| !wanted.contains(&identity(key))) {
            self.prefixes.remove(key).map_err(error)?;
        }
        Ok(())
    }
}

/// The trie's key of a prefix: IPv4 is IPv4-mapped in the maps, so 96 bits longer.
fn key(site: u32, prefix: &IpNet) -> Key<AllowKey> {
    let mapped = match prefix {
        IpNet::V4(_) => 96,
        IpNet::V6(_) => 0,
    };
    let bits = AllowKey::SITE_BITS + mapped + u32::from(prefix.prefix_len());
    let address = Address::from(prefix.network());
    Key::new(bits, AllowKey::new(site, address))
}

/// What tells two keys apart; the trie's type cannot be compared.
fn identity(key: &Key<AllowKey>) -> (u32, [u8; 4], Address) {
    let AllowKey { site, address } = key.data();
    (key.prefix_len(), site, address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_as_long_as_it_has_to_match() {
        for (text, bits) in [
            ("10.0.0.0/24", 32 + 96 + 24),
            ("0.0.0.0/0", 32 + 96),
            ("10.0.0.5/32", AllowKey::BITS),
            ("fd00::/64", 32 + 64),
            ("fd00::5/128", AllowKey::BITS),
        ] {
            let prefix: IpNet = text.parse().expect("a prefix");
            assert_eq!(key(7, &prefix).prefix_len(), bits, "{text}");
        }
    }
}
