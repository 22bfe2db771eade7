//! How many moves the log has a line each for: an evacuation is not to wait for whoever reads the log.

use std::time::{Duration, Instant};

/// The time that a quota is for.
const WINDOW: Duration = Duration::from_secs(1);
/// Lines in a window.
const LINES: u32 = 100;

/// The lines of one kind.
#[derive(Debug)]
pub struct LogQuota {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl LogQuota {
    /// Nothing has been written.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            lines: 0,
            left_out: 0,
        }
    }

    /// Whether there is room for one more line.
    pub fn admits(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= WINDOW {
            self.since = now;
            self.lines = 0;
        }
        let admits = self.lines < LINES;
        if admits {
            self.lines += 1;
        } else {
            self.left_out += 1;
        }
        admits
    }

    /// How many were left out since this was asked last.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_once_and_the_next_second_has_room_again() {
        let start = Instant::now();
        let mut quota = LogQuota::new(start);
        let admitted = (0..250).filter(|_| quota.admits(start)).count();
        assert_eq!((admitted, quota.take_left_out()), (100, 150));
        assert!(!quota.admits(start + WINDOW / 2));
        assert!(quota.admits(start + WINDOW));
        assert_eq!((quota.take_left_out(), quota.take_left_out()), (1, 0));
    }
}
