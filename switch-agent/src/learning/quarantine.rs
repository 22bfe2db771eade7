//! Quarantines that end by themselves.

use std::collections::BTreeSet;

use switch_ebpf::{abi::Binding, rule};

use super::{LearnError, learner::Learner};
use crate::api::EventKind;

/// When each quarantine ends, by slot.
#[derive(Debug, Default)]
pub struct Quarantines {
    ends: BTreeSet<(u64, u32)>,
}

impl Quarantines {
    /// A binding is in quarantine; nothing where that has no end.
    pub fn add(&mut self, binding: &Binding, quarantine_ns: u64) {
        if quarantine_ns != 0 {
            let end_ns = binding.window_start_ns.saturating_add(quarantine_ns);
            self.ends.insert((end_ns, binding.slot));
        }
    }

    /// The next slot whose quarantine is over, if it is still in it.
    fn next(&mut self, now_ns: u64) -> Option<u32> {
        let (end_ns, slot) = *self.ends.first()?;
        if end_ns > now_ns {
            return None;
        }
        self.ends.pop_first();
        Some(slot)
    }
}

impl Learner {
    /// Ends the quarantines whose time is over.
    pub(super) fn end_quarantines(&mut self, now_ns: u64) -> Result<(), LearnError> {
        while let Some(slot) = self.quarantines.next(now_ns) {
            // The operator may have released it, or bound another address in its slot.
            let Some((key, binding)) = self.flows.at(slot)? else {
                continue;
            };
            if rule::is_quarantine_over(&binding, &self.policy, now_ns) {
                self.flows.replace(&key, &rule::released(&binding))?;
                self.pardon(&key)?;
                let sites = (None, Some(binding.site));
                self.tell(EventKind::Released, key.address, None, sites, |event| {
                    event.reason = Some("its time is over".to_owned());
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_end_in_their_order() {
        let mut quarantines = Quarantines::default();
        for (slot, start_ns) in [(1, 300), (2, 100), (3, 200)] {
            let binding = rule::created(0, slot, 0, [2; 6]);
            quarantines.add(&rule::quarantined(&binding, start_ns), 50);
        }
        quarantines.add(&rule::created(0, 4, 0, [2; 6]), 0);
        assert_eq!(quarantines.next(149), None);
        assert_eq!(quarantines.next(260), Some(2));
        assert_eq!(quarantines.next(260), Some(3));
        assert_eq!(quarantines.next(260), None);
        assert_eq!(quarantines.next(350), Some(1));
        assert_eq!(quarantines.next(u64::MAX), None);
    }
}
