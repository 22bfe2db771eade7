//! The last evidence that each site gave for an address, for whoever asks why it is where it is.

use std::collections::{BTreeMap, HashMap, VecDeque};

use switch_ebpf::{abi::BindingKey, frame::Evidence, rule::Refusal};

use super::decide::Claim;

/// How many addresses are remembered at each site. The one that has been for longest is forgotten, so
/// that a storm of one site forgets that site's own only.
const MOST: usize = 4096;
/// Bytes of a frame that are kept: its headers, with three tags, to a neighbour message's target.
const HEADER_LEN: usize = 96;

/// What a site said of an address last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The class of the evidence.
    pub evidence: Evidence,
    /// When it came in, `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// The beginning of the frame that brought it.
    pub header: Vec<u8>,
    /// The whole frame's length in bytes.
    pub length: usize,
    /// How often such evidence was refused since the address is remembered.
    pub refused: BTreeMap<Refusal, u64>,
}

#[derive(Debug, Default)]
struct AtSite {
    sightings: HashMap<BindingKey, Sighting>,
    /// The oldest first.
    order: VecDeque<BindingKey>,
}

/// The last evidence, by site.
#[derive(Debug, Default)]
pub struct Heard {
    sites: HashMap<u32, AtSite>,
}

impl Heard {
    /// A claim has reached the agent.
    pub fn note(&mut self, claim: &Claim<'_>) -> &mut Sighting {
        let AtSite { sightings, order } = self.sites.entry(claim.site).or_default();
        if !sightings.contains_key(&claim.key) {
            if order.len() >= MOST
                && let Some(oldest) = order.pop_front()
            {
                sightings.remove(&oldest);
            }
            order.push_back(claim.key);
        }
        let sighting = sightings.entry(claim.key).or_insert_with(|| Sighting {
            evidence: claim.evidence,
            time_ns: 0,
            header: Vec::new(),
            length: 0,
            refused: BTreeMap::new(),
        });
        sighting.evidence = claim.evidence;
        sighting.time_ns = claim.time_ns;
        sighting.length = claim.frame.len();
        let header = &claim.frame[..claim.frame.len().min(HEADER_LEN)];
        sighting.header.clear();
        sighting.header.extend_from_slice(header);
        sighting
    }

    /// It was refused.
    pub fn refused(&mut self, claim: &Claim<'_>, why: Refusal) {
        *self.note(claim).refused.entry(why).or_default() += 1;
    }

    /// What a site said last of an address.
    pub fn at(&self, site: u32, key: &BindingKey) -> Option<&Sighting> {
        self.sites.get(&site)?.sightings.get(key)
    }
}

#[cfg(test)]
mod tests {
    use switch_ebpf::frame::Address;

    use super::*;

    fn claim(site: u32, n: usize, frame: &[u8]) -> Claim<'_> {
        Claim {
            key: BindingKey {
                network: 0,
                address: Address::v4([10, 0, (n >> 8) as u8, n as u8]),
            },
            site,
            evidence: Evidence::Data,
            mac: [2; 6],
            time_ns: 5,
            signed: false,
            frame,
        }
    }

    #[test]
    fn the_last_of_each_site_is_kept_and_refusals_add_up() {
        let mut heard = Heard::default();
        let first = claim(1, 7, &[1; 60]);
        heard.refused(&first, Refusal::Pinned);
        heard.refused(&first, Refusal::Pinned);
        heard.refused(&first, Refusal::Unknown);
        let last = Claim {
            time_ns: 9,
            evidence: Evidence::Announce,
            ..claim(1, 7, &[2; 1500])
        };
        heard.note(&last);
        let kept = heard.at(1, &last.key).expect("remembered");
        assert_eq!((kept.time_ns, kept.evidence), (9, Evidence::Announce));
        assert_eq!(
            (&kept.header[..], kept.length),
            (&[2; HEADER_LEN][..], 1500)
        );
        let refused = BTreeMap::from([(Refusal::Unknown, 1), (Refusal::Pinned, 2)]);
        assert_eq!(kept.refused, refused);
        assert_eq!(heard.at(2, &last.key), None);
    }

    #[test]
    fn a_storm_forgets_its_own_site_only() {
        let mut heard = Heard::default();
        heard.note(&claim(1, 0, &[]));
        heard.note(&claim(2, 0, &[]));
        for n in 0..=MOST {
            heard.note(&claim(2, n, &[]));
        }
        assert!(heard.at(1, &claim(1, 0, &[]).key).is_some());
        assert!(heard.at(2, &claim(2, 0, &[]).key).is_none());
        assert!(heard.at(2, &claim(2, 1, &[]).key).is_some());
        assert_eq!(heard.sites[&2].sightings.len(), MOST);
        assert_eq!(heard.sites[&2].order.len(), MOST);
    }
}
