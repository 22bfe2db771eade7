//! Which places of the counters are free.

/// Places below a limit, given out one at a time.
#[derive(Debug)]
pub struct Slots {
    free: Vec<u32>,
}

impl Slots {
    /// All places below `limit` but those in `used`.
    pub fn new(limit: u32, used: impl IntoIterator<Item = u32>) -> Self {
        let mut taken = vec![false; limit as usize];
        for slot in used {
            if let Some(taken) = taken.get_mut(slot as usize) {
                *taken = true;
            }
        }
        // The lowest one last, for it is given out first.
        let free = (0..limit)
            .rev()
            .filter(|slot| !taken[*slot as usize])
            .collect();
        Self { free }
    }

    /// A free place.
    pub fn take(&mut self) -> Option<u32> {
        self.free.pop()
    }

    /// Gives a place back.
    pub fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_once() {
        let mut slots = Slots::new(3, [1]);
        assert_eq!(
            (slots.take(), slots.take(), slots.take()),
            (Some(0), Some(2), None)
        );
        slots.give_back(2);
        assert_eq!(slots.take(), Some(2));
    }
}
