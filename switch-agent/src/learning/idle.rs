//! Forgetting addresses that were silent for too long, where the operator wants that.

use std::time::Duration;

use switch_ebpf::abi::{Binding, STATE_LEARNED};

use super::{LearnError, learner::Learner};
use crate::{api::EventKind, config::nanoseconds};

/// Slots looked at in one turn of the learner's loop.
const TURN: u32 = 128;

/// A round over all slots, a few at a time.
#[derive(Debug)]
pub struct Idle {
    timeout_ns: u64,
    next_slot: u32,
    /// When the next round begins.
    due_ns: u64,
}

impl Idle {
    /// Nothing is looked at before the first turn.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout_ns: nanoseconds(timeout),
            next_slot: 0,
            due_ns: 0,
        }
    }

    /// The slots to look at now, of so many.
    fn turn(&mut self, slots: u32, now_ns: u64) -> std::ops::Range<u32> {
        if now_ns < self.due_ns {
            return 0..0;
        }
        let start = self.next_slot;
        let end = start.saturating_add(TURN).min(slots);
        self.next_slot = end;
        if end == slots {
            // A round four times in the timeout: an address is forgotten at most a quarter late.
            self.next_slot = 0;
            self.due_ns = now_ns.saturating_add(self.timeout_ns / 4);
        }
        start..end
    }

    /// Whether a binding was silent for too long. What the operator bound or holds stays.
    fn is_over(&self, binding: &Binding, last_seen_ns: Option<u64>, now_ns: u64) -> bool {
        let since_ns = binding
            .created_at_ns
            .max(binding.moved_at_ns)
            .max(last_seen_ns.unwrap_or(0));
        binding.state == STATE_LEARNED && now_ns.saturating_sub(since_ns) >= self.timeout_ns
    }
}

impl Learner {
    /// Looks at the next few bindings, and forgets those that were silent for too long.
    pub(super) fn forget_idle(&mut self, now_ns: u64) -> Result<(), LearnError> {
        let Some(idle) = &mut self.idle else {
            return Ok(());
        };
        for slot in idle.turn(self.flows.slots(), now_ns) {
            let Some((key, binding)) = self.flows.at(slot)? else {
                continue;
            };
            let last_seen_ns = self.flows.last_seen_ns(slot)?;
            if self
                .idle
                .as_ref()
                .is_some_and(|idle| idle.is_over(&binding, last_seen_ns, now_ns))
            {
                self.flows.remove(&key, &binding)?;
                self.tell(
                    EventKind::Removed,
                    key.address,
                    None,
                    (Some(binding.site), None),
                    |event| event.reason = Some("idle".to_owned()),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use switch_ebpf::{abi::STATE_STATIC, rule};

    use super::*;

    #[test]
    fn a_round_is_four_times_in_the_timeout() {
        let mut idle = Idle::new(Duration::from_nanos(400));
        assert_eq!(idle.turn(300, 7), 0..128);
        assert_eq!(idle.turn(300, 8), 128..256);
        assert_eq!(idle.turn(300, 9), 256..300);
        assert_eq!(idle.turn(300, 108), 0..0);
        assert_eq!(idle.turn(300, 109), 0..128);
    }

    #[test]
    fn only_what_was_learned_and_silent_is_over() {
        let idle = Idle::new(Duration::from_nanos(400));
        let binding = rule::created(1, 0, 1_000, [2; 6]);
        assert!(!idle.is_over(&binding, None, 1_399));
        assert!(idle.is_over(&binding, None, 1_400));
        assert!(!idle.is_over(&binding, Some(1_001), 1_400));
        let pinned = Binding {
            state: STATE_STATIC,
            ..binding
        };
        assert!(!idle.is_over(&pinned, None, u64::MAX));
    }
}
