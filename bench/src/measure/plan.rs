//! How much is measured.

use std::time::Duration;

/// How thoroughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whether there is a minute or two only, not ten: fewer things are measured, and smaller ones.
    pub quick: bool,
    /// How often each thing is measured.
    pub repetitions: u32,
    /// How long each time, where that is free.
    pub run: Duration,
}

impl Plan {
    /// Seconds for each section.
    pub const QUICK: Self = Self {
        quick: true,
        repetitions: 3,
        run: Duration::from_millis(50),
    };
    /// Minutes.
    pub const FULL: Self = Self {
        quick: false,
        repetitions: 15,
        run: Duration::from_millis(300),
    };

    /// One of two figures: for the quick plan, and for the full one.
    pub fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}
