//! Which refusals are worth an event: each is counted, but a VM that goes on trying is told of once
//! in a while.

use std::collections::HashMap;

use switch_ebpf::{frame::Address, rule::Refusal};

/// The same refusal is news again after this long.
const NEWS_NS: u64 = 10_000_000_000;
/// How many are remembered. Beyond that all are news again, which bounds memory, not events.
const MOST: usize = 4096;

/// Refusals of late.
#[derive(Debug, Default)]
pub struct Refusals {
    told: HashMap<(Address, u32, Refusal), u64>,
}

impl Refusals {
    /// Whether nobody was told of this refusal of late; somebody is now.
    pub fn is_news(&mut self, address: Address, site: u32, why: Refusal, now_ns: u64) -> bool {
        let key = (address, site, why);
        let told = self.told.get(&key);
        if told.is_some_and(|told| now_ns.saturating_sub(*told) < NEWS_NS) {
            return false;
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
}
