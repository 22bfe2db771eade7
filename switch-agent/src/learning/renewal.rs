//! Shortcuts of addresses that are bound no more, until others may have them: see
//! [`switch_ebpf::abi::shortcut`].
//!
//! Only the bookkeeping, in which all of one moment go on together: what each CPU counts comes in, what
//! may be done comes out.

use std::mem::take;

use super::handover::{Runs, over};

/// The shortcuts that wait for programs to end.
#[derive(Debug)]
pub struct Renewal<T> {
    /// Closed since the last turn.
    closed: Vec<T>,
    /// Programs that ran at this moment may go by these.
    leaving: Option<(Runs, Vec<T>)>,
    /// Emptied in the last turn, or before.
    emptied: Vec<T>,
    /// Programs that ran at this moment may have read whose these were.
    fading: Option<(Runs, Vec<T>)>,
}

/// What may be done with shortcuts.
#[derive(Debug, PartialEq, Eq)]
pub struct Work<T> {
    /// Nobody goes by these any more.
    pub empty: Vec<T>,
    /// Nobody knows these any more.
    pub free: Vec<T>,
}

impl<T> Default for Renewal<T> {
    fn default() -> Self {
        Self {
            closed: Vec::new(),
            leaving: None,
            emptied: Vec::new(),
            fading: None,
        }
    }
}

impl<T: Clone> Renewal<T> {
    /// These were closed for good.
    pub fn add(&mut self, closed: impl IntoIterator<Item = T>) {
        self.closed.extend(closed);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty()
            && self.leaving.is_none()
            && self.emptied.is_empty()
            && self.fading.is_none()
    }

    /// One turn. `runs` are read after all that was added was closed, and after the work of the last turn
    /// was done.
    pub fn turn(&mut self, runs: &Runs) -> Work<T> {
        let is_over = |(before, _): &mut (Runs, Vec<T>)| over(before, runs);
        let free = self.fading.take_if(is_over);
        let empty = self.leaving.take_if(is_over);
        if self.fading.is_none() && !self.emptied.is_empty() {
            self.fading = Some((runs.clone(), take(&mut self.emptied)));
        }
        if self.leaving.is_none() && !self.closed.is_empty() {
            self.leaving = Some((runs.clone(), take(&mut self.closed)));
        }
        let (_, free) = free.unwrap_or_default();
        let (_, empty) = empty.unwrap_or_default();
        self.emptied.extend(empty.iter().cloned());
        Work { empty, free }
    }
}

#[cfg(test)]
mod tests;
