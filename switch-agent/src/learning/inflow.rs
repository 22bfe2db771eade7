//! What comes in from the datapath, by two rings.
//!
//! What may move an address comes by one, newcomers and frames for every site by the other, so that a
//! move does not wait behind a storm. The first is read first, and the second only as far in time as
//! the first: when an address's frames change from the first to the second, because it was forgotten
//! or moves while it is a newcomer, those in the first are worked on before. (They change from the
//! second to the first only when none is left there: see [`super::handover`].)

use aya::maps::{MapData, RingBuf};
use nix::poll::PollTimeout;
use switch_ebpf::abi::MissHeader;

use super::{LearnError, Mail, handover::ReadTo, learner::now_ns};
use crate::{
    datapath::{Rings, Tables},
    worker::Inbox,
};

/// Where records come from.
pub trait Source {
    /// Copies the next finished record out, behind what is there, and makes room for another;
    /// `false` where there is none.
    fn copy(&mut self, to: &mut Vec<u8>) -> bool;
}

impl Source for RingBuf<MapData> {
    fn copy(&mut self, to: &mut Vec<u8>) -> bool {
        let Some(record) = self.next() else {
            return false;
        };
        to.extend_from_slice(&record);
        true
    }
}

/// One ring.
struct Line<R> {
    ring: R,
    /// A record that was read before its time; empty for none.
    held: Vec<u8>,
    /// Whatever had its place in the ring before this time has been given out.
    read_to_ns: u64,
}

impl<R: Source> Line<R> {
    fn new(ring: R) -> Self {
        Self {
            ring,
            held: Vec::new(),
            read_to_ns: 0,
        }
    }

    /// Nothing was in the ring at this time.
    fn was_empty(&mut self, at_ns: u64) {
        if self.held.is_empty() {
            self.read_to_ns = self.read_to_ns.max(at_ns);
        }
    }

    /// Puts the next record in the place of `record`, unless it is later than `until_ns`.
    fn next(&mut self, until_ns: u64, record: &mut Vec<u8>) -> bool {
        if self.held.is_empty() && !self.ring.copy(&mut self.held) {
            return false;
        }
        let header = MissHeader::split(&self.held);
        let time_ns = header.map_or(0, |(header, _)| header.time_ns);
        if time_ns > until_ns {
            return false;
        }
        record.clear();
        std::mem::swap(record, &mut self.held);
        self.read_to_ns = self.read_to_ns.max(time_ns);
        true
    }
}

/// Both rings, and how far they have been read.
pub struct Inflow<R = RingBuf<MapData>> {
    misses: Line<R>,
    newcomers: Line<R>,
}

impl From<Rings> for Inflow {
    fn from(Rings { misses, newcomers }: Rings) -> Self {
        Self::new(misses, newcomers)
    }
}

impl Inflow {
    /// Waits for either ring, for a letter or for the end of the time. Returns whether anything is
    /// there to be read, now or in a moment.
    ///
    /// # Errors
    /// What the kernel has against it.
    pub fn wait(
        &mut self,
        inbox: &Inbox<Mail>,
        timeout: PollTimeout,
        tables: &mut Tables,
    ) -> Result<bool, LearnError> {
        let is_holding = self.is_holding();
        let rings = [&self.misses.ring, &self.newcomers.ring];
        let wait = |timeout| {
            let waited = inbox.wait(rings, timeout);
            waited.map_err(|source| LearnError::System {
                what: "wait for misses",
                source,
            })
        };
        if !is_holding && timeout != PollTimeout::ZERO {
            tables.set_asleep(true)?;
            wait(timeout)?;
            tables.set_asleep(false)?;
        }
        // Read after the wait, so that no newcomer which has ended it is later than this.
        let at_ns = now_ns()?;
        // The kernel calls a ring readable as soon as a record has its place in it.
        let [misses, newcomers] = wait(PollTimeout::ZERO)?;
        self.looked(at_ns, misses, newcomers);
        Ok(misses || newcomers || is_holding)
    }
}

impl<R: Source> Inflow<R> {
    /// Nothing of either ring has been read.
    pub fn new(misses: R, newcomers: R) -> Self {
        Self {
            misses: Line::new(misses),
            newcomers: Line::new(newcomers),
        }
    }

    /// Whether a newcomer was read that has to wait for the misses.
    pub fn is_holding(&self) -> bool {
        !self.newcomers.held.is_empty()
    }

    /// Whether the rings had anything in them, finished or not, at this time or later.
    pub fn looked(&mut self, at_ns: u64, misses: bool, newcomers: bool) {
        for (readable, line) in [(misses, &mut self.misses), (newcomers, &mut self.newcomers)] {
            if !readable {
                line.was_empty(at_ns);
            }
        }
    }

    /// Puts the next record of what may move an address in the place of `record`, if there is one.
    pub fn next_miss(&mut self, record: &mut Vec<u8>) -> bool {
        self.misses.next(u64::MAX, record)
    }

    /// The same of newcomers and of frames for every site, as far as the misses have been read.
    pub fn next_newcomer(&mut self, record: &mut Vec<u8>) -> bool {
        self.newcomers.next(self.misses.read_to_ns, record)
    }

    /// How far the rings have been read.
    pub fn read_to(&self) -> ReadTo {
        ReadTo {
            misses_ns: self.misses.read_to_ns,
            newcomers_ns: self.newcomers.read_to_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use zerocopy::{FromZeros, IntoBytes};

    use super::*;

    impl Source for VecDeque<u64> {
        fn copy(&mut self, to: &mut Vec<u8>) -> bool {
            let Some(time_ns) = self.pop_front() else {
                return false;
            };
            let header = MissHeader {
                time_ns,
                ..FromZeros::new_zeroed()
            };
            to.extend_from_slice(header.as_bytes());
            true
        }
    }

    fn inflow(misses: &[u64], newcomers: &[u64]) -> Inflow<VecDeque<u64>> {
        let ring = |times: &[u64]| times.iter().copied().collect();
        Inflow::new(ring(misses), ring(newcomers))
    }

    fn times(
        inflow: &mut Inflow<VecDeque<u64>>,
        next: impl Fn(&mut Inflow<VecDeque<u64>>, &mut Vec<u8>) -> bool,
    ) -> Vec<u64> {
        let (mut times, mut record) = (Vec::new(), Vec::new());
        while next(inflow, &mut record) {
            let (header, _) = MissHeader::split(&record).expect("a header");
            times.push(header.time_ns);
        }
        times
    }

    fn newcomers(inflow: &mut Inflow<VecDeque<u64>>) -> Vec<u64> {
        times(inflow, Inflow::next_newcomer)
    }

    #[test]
    fn newcomers_are_read_as_far_as_misses() {
        let mut inflow = inflow(&[20, 30], &[10, 19, 20, 29, 40]);
        assert!(newcomers(&mut inflow).is_empty());
        let mut record = Vec::new();
        assert!(inflow.next_miss(&mut record));
        assert_eq!(newcomers(&mut inflow), [10, 19, 20]);
        assert_eq!(times(&mut inflow, Inflow::next_miss), [30]);
        assert_eq!(newcomers(&mut inflow), [29]);
        assert_eq!(
            inflow.read_to(),
            ReadTo {
                misses_ns: 30,
                newcomers_ns: 29
            }
        );
    }

    #[test]
    fn no_misses_hold_no_newcomers_up() {
        let mut inflow = inflow(&[], &[10, 40]);
        inflow.looked(30, false, true);
        assert_eq!(newcomers(&mut inflow), [10]);
        // The ring is empty, but its last record is held.
        inflow.looked(39, false, false);
        assert!(newcomers(&mut inflow).is_empty());
        assert_eq!(inflow.read_to().newcomers_ns, 10);
        inflow.looked(41, false, false);
        assert_eq!(newcomers(&mut inflow), [40]);
        inflow.looked(50, false, false);
        assert_eq!(inflow.read_to().newcomers_ns, 50);
    }

    #[test]
    fn a_ring_with_an_unfinished_record_is_not_empty() {
        let mut inflow = inflow(&[], &[10]);
        inflow.looked(30, true, true);
        assert!(newcomers(&mut inflow).is_empty());
        assert_eq!(inflow.read_to(), ReadTo::default());
    }
}
