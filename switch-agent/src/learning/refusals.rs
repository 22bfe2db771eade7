//! Which refusals are worth an event: each is counted, but a VM that goes on trying is told of once
//! in a while.

use std::collections::HashMap;

use switch_ebpf::{frame::Address, limit::Limit, rule::Refusal};

/// The same refusal is news again after this long.
const NEWS_NS: u64 = 10_000_000_000;
/// How many are remembered. Beyond that all are news again, which bounds memory, not events.
const MOST: usize = 4096;

/// Refusals told of one site: 10 a second, and 50 at once, so that a storm there does not push
/// everything else out of the events.
const TOLD: Limit = Limit {
    interval_ns: 100_000_000,
    burst_ns: 5_000_000_000,
};

/// Refusals of late.
#[derive(Debug, Default)]
pub struct Refusals {
    told: HashMap<(Address, u32, Refusal), u64>,
    /// Site id → when its next one may be told.
    due_ns: HashMap<u32, u64>,
}

impl Refusals {
    /// Whether nobody was told of this refusal of late; somebody is now.
    pub fn is_news(&mut self, address: Address, site: u32, why: Refusal, now_ns: u64) -> bool {
        let key = (address, site, why);
        let told = self.told.get(&key);
        if told.is_some_and(|told| now_ns.saturating_sub(*told) < NEWS_NS) {
            return false;
        }
        let due_ns = self.due_ns.entry(site).or_default();
        match TOLD.pass(*due_ns, now_ns) {
            Some(next_ns) => *due_ns = next_ns,
            None => return false,
        }
        if self.told.len() >= MOST {
            self.told.clear();
        }
        self.told.insert(key, now_ns);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_news_once_in_a_while() {
        let mut refusals = Refusals::default();
        let address = Address::v4([10, 0, 0, 1]);
        let mut news = |site, now_ns| refusals.is_news(address, site, Refusal::Pinned, now_ns);
        assert!(news(1, 5));
        assert!(!news(1, 5 + NEWS_NS - 1));
        assert!(news(2, 5), "another site");
        assert!(news(1, 5 + NEWS_NS));
    }

    #[test]
    fn a_storm_at_one_site_is_told_in_part_and_hides_no_other() {
        let mut refusals = Refusals::default();
        let mut told = 0;
        for n in 0..10_000_u32 {
            let address = Address::v4(n.to_be_bytes());
            told += u32::from(refusals.is_news(address, 1, Refusal::Unknown, 5_000_000_000));
        }
        assert_eq!(told, 51);
        let other = Address::v4([10, 0, 0, 1]);
        assert!(refusals.is_news(other, 2, Refusal::Unknown, 5_000_000_000));
    }
}
