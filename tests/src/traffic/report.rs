//! What became of a numbered stream.

use std::{
    collections::HashSet,
    fmt,
    time::{Duration, Instant},
};

/// What became of a numbered stream of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpReport {
    /// Different packets that arrived.
    pub received: u64,
    /// Packets that were sent and did not arrive.
    pub lost: u64,
    /// Packets that arrived after one with a higher number.
    pub reordered: u64,
    /// Arrivals of packets that had arrived before.
    pub duplicated: u64,
    /// The longest time between two arrivals.
    pub largest_gap: Duration,
    /// Every arrival: its number and when.
    pub arrivals: Vec<(u64, Instant)>,
}

impl UdpReport {
    /// Judges the arrivals of a stream of which numbers 0 to `sent` - 1 were sent.
    #[must_use]
    pub fn new(sent: u64, arrivals: Vec<(u64, Instant)>) -> Self {
        let mut seen = HashSet::new();
        let (mut reordered, mut duplicated, mut highest) = (0, 0, None);
        for (number, _) in &arrivals {
            if !seen.insert(*number) {
                duplicated += 1;
            } else if Some(*number) < highest {
                reordered += 1;
            }
            highest = highest.max(Some(*number));
        }
        let received = seen.len() as u64;
        let gaps = arrivals
            .windows(2)
            .map(|pair| pair[1].1.duration_since(pair[0].1));
        Self {
            received,
            lost: sent.saturating_sub(received),
            reordered,
            duplicated,
            largest_gap: gaps.max().unwrap_or_default(),
            arrivals,
        }
    }

    /// Whether every packet arrived once and in order.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        (self.lost, self.reordered, self.duplicated) == (0, 0, 0)
    }

    /// The numbers that did not arrive, of those up to the highest that did.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        let seen: HashSet<u64> = self.arrivals.iter().map(|(number, _)| *number).collect();
        let end = seen.iter().max().map_or(0, |highest| highest + 1);
        (0..end).filter(|number| !seen.contains(number)).collect()
    }
}

impl fmt::Display for UdpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            received,
            lost,
            reordered,
            duplicated,
            largest_gap,
            arrivals: _,
        } = self;
        write!(
            f,
            "{received} received, {lost} lost, {reordered} reordered, {duplicated} duplicated, \
             largest gap {largest_gap:.1?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sent: u64, numbers: &[u64]) -> UdpReport {
        let start = Instant::now();
        let arrival =
            |(at, number): (usize, &u64)| (*number, start + Duration::from_millis(at as u64));
        UdpReport::new(sent, numbers.iter().enumerate().map(arrival).collect())
    }

    #[test]
    fn a_perfect_stream() {
        let report = report(4, &[0, 1, 2, 3]);
        assert!(report.is_perfect());
        assert_eq!(
            (report.received, report.largest_gap),
            (4, Duration::from_millis(1))
        );
    }

    #[test]
    fn loss_reordering_and_duplicates_are_told_apart() {
        let report = report(7, &[0, 2, 1, 2, 5]);
        assert_eq!((report.received, report.lost), (4, 3));
        assert_eq!((report.reordered, report.duplicated), (1, 1));
        assert_eq!(report.missing(), [3, 4]);
    }

    #[test]
    fn nothing_arrived() {
        let report = report(3, &[]);
        assert_eq!((report.received, report.lost), (0, 3));
        assert_eq!(report.largest_gap, Duration::ZERO);
    }
}
