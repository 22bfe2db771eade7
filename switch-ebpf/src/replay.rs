//! A window over sequence numbers that lets each through once, though they arrive out of order.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How far behind the highest number another may be.
pub const WIDTH: u64 = u64::BITS as u64;

/// Which numbers were there: the highest, and which of the [`WIDTH`] up to it (RFC 4303 §3.4.3).
///
/// A number is to be shown to it only once it is authenticated: whoever can make up a high one
/// shuts out all others.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Window {
    /// The highest number that was accepted; 0 for none.
    pub highest: u64,
    /// Bit n is set where `highest - n` was accepted.
    pub seen: u64,
}

impl Window {
    /// The window after `sequence`, or nothing where that was there before, is too far behind to
    /// tell, or is 0, which nobody sends.
    pub const fn accept(self, sequence: u64) -> Option<Self> {
        if sequence == 0 {
            return None;
        }
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            let seen = if ahead < WIDTH { self.seen << ahead } else { 0 };
            return Some(Self {
                highest: sequence,
                seen: seen | 1,
            });
        }
        let behind = self.highest - sequence;
        if behind >= WIDTH || self.seen & 1 << behind != 0 {
            return None;
        }
        Some(Self {
            highest: self.highest,
            seen: self.seen | 1 << behind,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn accepted(sequences: &[u64]) -> Vec<bool> {
        let mut window = Window::default();
        let mut accept = |sequence| match window.accept(sequence) {
            Some(next) => {
                window = next;
                true
            }
            None => false,
        };
        sequences.iter().map(|n| accept(*n)).collect()
    }

    #[test]
    fn each_once_in_any_order() {
        assert_eq!(
            accepted(&[1, 3, 2, 3, 2, 1, 0, 4]),
            [true, true, true, false, false, false, false, true]
        );
    }

    #[test]
    fn the_window_is_64_wide() {
        assert_eq!(accepted(&[64, 1, 1]), [true, true, false]);
        assert_eq!(accepted(&[65, 1, 2]), [true, false, true]);
        assert_eq!(accepted(&[1, 65, 1]), [true, true, false]);
        assert_eq!(accepted(&[u64::MAX, u64::MAX, 1]), [true, false, false]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(sequences in proptest::collection::vec(0_u64..200, 0..300)) {
            let mut seen = HashSet::new();
            let mut highest = 0;
            let expected: Vec<_> = sequences
                .iter()
                .map(|n| {
                    let fresh = *n > 0 && n + WIDTH > highest && seen.insert(*n);
                    highest = highest.max(if fresh { *n } else { 0 });
                    fresh
                })
                .collect();
            prop_assert_eq!(accepted(&sequences), expected);
        }
    }
}
