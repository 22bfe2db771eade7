//! The scale of the timelines: the one measure that all systems have in common.

use std::time::Duration;

use crate::outcome::median;

/// As many lines as one likes to see.
const TICKS: u32 = 7;
/// What is longer than so many times the longest median would make the others too small to see.
const OUTLIER: u32 = 3;

/// From 0 to some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    step: Duration,
    end: Duration,
}

impl Scale {
    /// A scale for the gaps of some systems: long enough for all but outliers.
    pub fn of(systems: impl Iterator<Item = Vec<Duration>>) -> Self {
        let systems: Vec<_> = systems.collect();
        let medians = systems.iter().filter_map(|gaps| median(gaps));
        let most = medians.max().unwrap_or_default() * OUTLIER;
        let longest = systems.iter().flatten().filter(|gap| **gap <= most).max();
        let longest = longest.copied().unwrap_or_default();
        let step = steps()
            .find(|step| *step * TICKS >= longest)
            .unwrap_or(Duration::MAX / TICKS);
        let end = step * longest.div_duration_f64(step).ceil().max(1.0) as u32;
        Self { step, end }
    }

    /// The times to draw a line at.
    pub fn ticks(&self) -> impl Iterator<Item = Duration> {
        let Self { step, end } = *self;
        (0..=TICKS)
            .map(move |tick| step * tick)
            .take_while(move |time| *time <= end)
    }

    /// Whether a time is on it.
    pub fn shows(&self, time: Duration) -> bool {
        time <= self.end
    }

    /// Which part of it a time is, at most 1.
    pub fn part(&self, time: Duration) -> f64 {
        time.div_duration_f64(self.end).min(1.0)
    }
}

/// 0.1, 0.2, 0.5, 1 ms, and so on.
fn steps() -> impl Iterator<Item = Duration> {
    let powers = (0..9).map(|power| Duration::from_micros(100) * 10_u32.pow(power));
    powers.flat_map(|power| [1, 2, 5].map(|times| power * times))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(systems: &[&[u64]]) -> Scale {
        let gaps = |gaps: &&[u64]| gaps.iter().copied().map(Duration::from_millis).collect();
        Scale::of(systems.iter().map(gaps))
    }

    fn ticks(scale: Scale) -> Vec<u128> {
        scale.ticks().map(|time| time.as_millis()).collect()
    }

    #[test]
    fn it_ends_behind_the_longest_gap() {
        assert_eq!(
            ticks(scale(&[&[1, 2], &[9, 11, 13]])),
            [0, 2, 4, 6, 8, 10, 12, 14]
        );
        assert_eq!(ticks(scale(&[&[1, 2, 5]])), [0, 1, 2, 3, 4, 5]);
        let none = scale(&[]);
        assert_eq!(none.ticks().count(), 2);
    }

    #[test]
    fn an_outlier_is_not_on_it() {
        let scale = scale(&[&[1, 2], &[6, 10, 52]]);
        assert_eq!(ticks(scale), [0, 2, 4, 6, 8, 10]);
        let (on, off) = (Duration::from_millis(5), Duration::from_millis(52));
        assert!(scale.shows(on) && !scale.shows(off));
        assert_eq!((scale.part(on), scale.part(off)), (0.5, 1.0));
    }
}
