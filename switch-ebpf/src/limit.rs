//! A rate limit whose whole state is one word, so that many CPUs can share it without a lock.

/// The limit: a frame every `interval_ns`, and as many at once as fit into `burst_ns`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Nanoseconds between two frames at the limit; 0 for no limit.
    pub interval_ns: u64,
    /// How far ahead of the limit a burst may run, in nanoseconds.
    pub burst_ns: u64,
}

impl Limit {
    /// The generic cell rate algorithm (ITU-T I.371): `due_ns` is when the next frame would be due
    /// at the limit. Returns the new `due_ns` where a frame may pass now, nothing where it may not.
    #[inline(always)]
    pub const fn pass(&self, due_ns: u64, now_ns: u64) -> Option<u64> {
        if due_ns > now_ns.saturating_add(self.burst_ns) {
            return None;
        }
        let from = if due_ns > now_ns { due_ns } else { now_ns };
        Some(from.saturating_add(self.interval_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let limit = Limit {
            interval_ns: 10,
            burst_ns: 40,
        };
        let (mut due, mut passed) = (0, 0);
        for now in 1_000..1_100 {
            if let Some(next) = limit.pass(due, now) {
                due = next;
                passed += 1;
            }
        }
        // 5 at once (0 to 40 ns ahead), then one every 10 ns.
        assert_eq!(passed, 5 + 10 - 1);
    }

    #[test]
    fn no_limit() {
        let limit = Limit {
            interval_ns: 0,
            burst_ns: 0,
        };
        assert_eq!(limit.pass(0, 7), Some(7));
        assert_eq!(limit.pass(7, 7), Some(7));
    }
}
