//! Keeps the frames of an address in order while its binding is new.
//!
//! When the agent binds or moves an address, frames of it are on their way through a ring and through
//! the agent. The datapath must not forward those behind them by itself until they have left. So a
//! binding begins in the phase *handover*:
//!
//! 1. **Held.** [`Binding::left`](switch_ebpf::abi::Binding::left) is unknown: the datapath puts
//!    every frame of the address into the ring and numbers it. Programs that read the maps before
//!    the binding was written may still be running, at any port and with any older binding of the
//!    address or of its slot; they are done when each CPU's program has ended that ran after the
//!    write. What they put into the ring is out once a later record was, or the ring was empty.
//! 2. **Published.** The agent says in `left` how many numbered frames have left it. The datapath
//!    forwards a frame by itself as soon as that is how many have ever been numbered: then none is
//!    on its way. From then on no frame is numbered, so the state lasts.
//! 3. **Settled.** Once no program runs that could have read an older `left`, and the numbers are
//!    equal, the phase is over and costs nothing any more.
//!
//! There are two rings, so that moves do not wait behind newcomers, and two kinds of handover:
//!
//! * The frames of an address that moves are all in the ring of the misses, and queue up there.
//! * An address that was bound to nobody may have frames of any site in the ring of newcomers. All
//!   that follow queue up there, those too that speak for a move; both rings have to be read in 1,
//!   and if it moves meanwhile it begins again as a newcomer. When nothing of it is on its way,
//!   what speaks for a move is a miss; once it is settled, nothing of it is among the newcomers.
//!
//! Each ring has its own numbers. Otherwise a program that read a newcomer's binding just before that
//! was settled would, if the address moves at once, take the first frame of the new queue for one of
//! the old, and put its own among the newcomers, behind which no later one waits.
//!
//! For 2 to come about, the frames of the address must leave a gap now and then that is as long as
//! the agent needs to send one and to say so. Without it they all go on taking the way through it.
//!
//! This module is only the bookkeeping: counters and time come in, what to write comes out.

use std::{collections::BTreeMap, sync::Arc};

use switch_ebpf::abi::{BindingKey, PHASE_NEWCOMER};

/// How many handovers of each kind have their turn in one [`Handovers::advance`]: half a millisecond's
/// work, if all of them have something to be written.
const TURN: usize = 128;

/// The state of each CPU's program at one moment: see [`switch_ebpf::abi::Cpu::runs`].
pub type Runs = Arc<[u64]>;

#[derive(Clone, Debug)]
enum Stage {
    /// The binding was written, nothing is known of programs that run.
    Written,
    /// The programs that ran at this moment may have read the maps before.
    Running(Runs),
    /// None of them runs any more.
    Ended,
    /// None of them has run since before this time; the rings have to be read up to there.
    Draining(u64),
    /// This much was published, nothing is known of programs that run.
    Published(u64),
    /// The programs that ran at this moment may have read an older number.
    Reading(u64, Runs),
}

/// A binding whose handover begins.
#[derive(Clone, Copy, Debug)]
pub struct Begin {
    /// Its key.
    pub key: BindingKey,
    /// The phase in which it was written, with its `left` unknown.
    pub phase: u8,
    /// How many frames had been numbered in its slot, in the phase's ring; read after that, or before
    /// with nothing numbered in between.
    pub queued: u64,
    /// When the evidence came in that it stands on.
    pub evidence_ns: u64,
}

#[derive(Clone, Debug)]
struct Handover {
    begin: Begin,
    /// How many of the frames numbered since it began have left the agent.
    left: u64,
    stage: Stage,
}

/// Up to when the rings have been read: whatever had its place in one before that time was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadTo {
    /// The ring of what may move an address.
    pub misses_ns: u64,
    /// The ring of newcomers and of frames for every site.
    pub newcomers_ns: u64,
}

/// What the agent has to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// So many numbered frames have left.
    Publish {
        /// Of this binding,
        key: BindingKey,
        /// which stays in its phase.
        phase: u8,
        /// How many.
        left: u64,
    },
    /// The datapath goes on by itself.
    Settle(BindingKey),
}

/// What the state machine has to know of the datapath.
pub trait Datapath {
    /// Why it could not be asked.
    type Error;
    /// For each CPU how often its program has begun or ended: odd while it runs.
    fn runs(&self) -> Result<Vec<u64>, Self::Error>;
    /// How many frames have ever been numbered under a slot, in the ring of a phase.
    fn queued(&self, slot: u32, phase: u8) -> Result<u64, Self::Error>;
}

/// The handovers under way. Those of moves come first, and those of newcomers, which may be as many
/// as the flow table holds, cost them no more than one turn's time.
#[derive(Debug, Default)]
pub struct Handovers {
    moves: Round,
    newcomers: Round,
}

/// Handovers of one kind by slot, which have their turns one after the other.
#[derive(Debug, Default)]
struct Round {
    open: BTreeMap<u32, Handover>,
    /// The slot that has its turn next, or the first after it.
    next: u32,
}

/// What is known when handovers have their turn.
struct Moment {
    /// Read after `now_ns`.
    runs: Runs,
    now_ns: u64,
    /// Up to when those rings have been read that matter.
    read_to_ns: u64,
}

impl Handovers {
    /// A binding was written.
    pub fn begin(&mut self, slot: u32, begin: Begin) {
        self.abandon(slot);
        let handover = Handover {
            begin,
            left: 0,
            stage: Stage::Written,
        };
        self.round(begin.phase).open.insert(slot, handover);
    }

    fn round(&mut self, phase: u8) -> &mut Round {
        match phase {
            PHASE_NEWCOMER => &mut self.newcomers,
            _ => &mut self.moves,
        }
    }

    /// The binding is gone.
    pub fn abandon(&mut self, slot: u32) {
        self.moves.open.remove(&slot);
        self.newcomers.open.remove(&slot);
    }

    /// A frame that was numbered in the ring of a phase has left the agent.
    pub fn left(&mut self, phase: u8, slot: u32, number: u64) {
        if let Some(handover) = self.round(phase).open.get_mut(&slot)
            && number > handover.begin.queued
        {
            handover.left += 1;
        }
    }

    /// When the evidence came in that the binding of a slot stands on, if it is in a handover.
    pub fn evidence_ns(&self, slot: u32) -> Option<u64> {
        let moves = self.moves.open.get(&slot);
        let handover = moves.or_else(|| self.newcomers.open.get(&slot))?;
        Some(handover.begin.evidence_ns)
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.moves.open.is_empty() && self.newcomers.open.is_empty()
    }

    /// Goes as far as it can in one turn. Every frame read from the rings so far has left the agent.
    pub fn advance<D: Datapath>(
        &mut self,
        datapath: &D,
        now_ns: u64,
        read_to: ReadTo,
    ) -> Result<Vec<Write>, D::Error> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let mut moment = Moment {
            runs: datapath.runs()?.into(),
            now_ns,
            read_to_ns: read_to.misses_ns,
        };
        let mut writes = self.moves.turn(datapath, &moment)?;
        // What spoke for it while it was settled for a moment, or nobody's, is with the misses.
        moment.read_to_ns = read_to.misses_ns.min(read_to.newcomers_ns);
        writes.extend(self.newcomers.turn(datapath, &moment)?);
        Ok(writes)
    }
}

impl Round {
    /// The next few go on. Returns what is to be written.
    fn turn<D: Datapath>(&mut self, datapath: &D, moment: &Moment) -> Result<Vec<Write>, D::Error> {
        let (open, next) = (&self.open, self.next);
        let slots = open.range(next..).chain(open.range(..next));
        let slots: Vec<_> = slots.map(|(slot, _)| *slot).take(TURN).collect();
        let mut writes = Vec::new();
        for slot in slots {
            self.next = slot.saturating_add(1);
            let Some(handover) = self.open.get_mut(&slot) else {
                continue;
            };
            let write = handover.go_on(slot, datapath, moment)?;
            if matches!(write, Some(Write::Settle(_))) {
                self.open.remove(&slot);
            }
            writes.extend(write);
        }
        Ok(writes)
    }
}

impl Handover {
    /// Goes on, if it can.
    fn go_on<D: Datapath>(
        &mut self,
        slot: u32,
        datapath: &D,
        moment: &Moment,
    ) -> Result<Option<Write>, D::Error> {
        let Begin { key, phase, .. } = self.begin;
        let left = self.begin.queued + self.left;
        let publish = Write::Publish { key, phase, left };
        let runs = || Arc::clone(&moment.runs);
        // Written in a turn before, and so before the counters were read.
        match self.stage {
            Stage::Written => self.stage = Stage::Running(runs()),
            Stage::Published(published) => self.stage = Stage::Reading(published, runs()),
            _ => {}
        }
        let (stage, write) = match &self.stage {
            Stage::Running(before) if over(before, &moment.runs) => (Stage::Ended, None),
            // Not at once: `now_ns` was taken before the counters were read.
            Stage::Ended => (Stage::Draining(moment.now_ns), None),
            Stage::Draining(since_ns) if moment.read_to_ns > *since_ns => {
                (Stage::Published(left), Some(publish))
            }
            Stage::Reading(published, before) if over(before, &moment.runs) => {
                if datapath.queued(slot, phase)? == *published {
                    return Ok(Some(Write::Settle(key)));
                }
                if left == *published {
                    return Ok(None);
                }
                (Stage::Published(left), Some(publish))
            }
            _ => return Ok(None),
        };
        self.stage = stage;
        Ok(write)
    }
}

/// Whether none of the programs that ran before runs any more.
pub fn over(before: &Runs, now: &Runs) -> bool {
    let ran = |runs: u64| runs % 2 == 1;
    before
        .iter()
        .zip(now.iter())
        .all(|(before, now)| !ran(*before) || now != before)
}

#[cfg(test)]
mod tests;
