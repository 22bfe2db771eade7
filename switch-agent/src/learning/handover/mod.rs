//! Keeps the frames of an address in order while its binding is new.
//!
//! When the agent binds or moves an address, frames of it are on their way through the ring and
//! through the agent. The datapath must not forward those behind them by itself until they have
//! left. So a binding begins in the phase *handover*:
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
//! For 2 to come about, the frames of the address must leave a gap now and then that is as long as
//! the agent needs to send one and to say so. Without it they all go on taking the way through it.
//!
//! This module is only the bookkeeping: counters and time come in, what to write comes out.

use std::{collections::HashMap, sync::Arc};

use switch_ebpf::abi::BindingKey;

/// The state of each CPU's program at one moment: see [`switch_ebpf::abi::names::RUNS`].
type Runs = Arc<[u64]>;

#[derive(Clone, Debug)]
enum Stage {
    /// The binding was written, nothing is known of programs that run.
    Written,
    /// The programs that ran at this moment may have read the maps before.
    Running(Runs),
    /// None of them runs any more.
    Ended,
    /// None of them has run since before this time; the ring has to be read up to there.
    Draining(u64),
    /// This much was published, nothing is known of programs that run.
    Published(u64),
    /// The programs that ran at this moment may have read an older number.
    Reading(u64, Runs),
}

#[derive(Clone, Debug)]
struct Handover {
    key: BindingKey,
    /// How many frames had been numbered when it began.
    base: u64,
    /// How many of those numbered later have left the agent.
    left: u64,
    stage: Stage,
}

/// What the agent has to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// So many numbered frames have left.
    Publish(BindingKey, u64),
    /// The datapath goes on by itself.
    Settle(BindingKey),
}

/// What the state machine has to know of the datapath.
pub trait Datapath {
    /// Why it could not be asked.
    type Error;
    /// For each CPU how often its program has begun or ended: odd while it runs.
    fn runs(&self) -> Result<Vec<u64>, Self::Error>;
    /// How many frames have ever been numbered under a slot.
    fn queued(&self, slot: u32) -> Result<u64, Self::Error>;
}

/// The handovers under way, by slot.
#[derive(Debug, Default)]
pub struct Handovers {
    open: HashMap<u32, Handover>,
}

impl Handovers {
    /// A binding was written with its `left` unknown. `queued` was read after that, or before with
    /// nothing numbered in between.
    pub fn begin(&mut self, slot: u32, key: BindingKey, queued: u64) {
        let handover = Handover {
            key,
            base: queued,
            left: 0,
            stage: Stage::Written,
        };
        self.open.insert(slot, handover);
    }

    /// The binding is gone.
    pub fn abandon(&mut self, slot: u32) {
        self.open.remove(&slot);
    }

    /// A numbered frame has left the agent.
    pub fn left(&mut self, slot: u32, number: u64) {
        if let Some(handover) = self.open.get_mut(&slot)
            && number > handover.base
        {
            handover.left += 1;
        }
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Goes as far as it can. Every frame read from the ring so far has left the agent; the ring
    /// was read up to the records of `read_to_ns`, or was empty at that time.
    pub fn advance<D: Datapath>(
        &mut self,
        datapath: &D,
        now_ns: u64,
        read_to_ns: u64,
    ) -> Result<Vec<Write>, D::Error> {
        if self.open.is_empty() {
            return Ok(Vec::new());
        }
        let runs: Runs = datapath.runs()?.into();
        let mut writes = Vec::new();
        let mut settled = Vec::new();
        for (slot, handover) in &mut self.open {
            let left = handover.base + handover.left;
            handover.stage = match &handover.stage {
                Stage::Written => Stage::Running(Arc::clone(&runs)),
                Stage::Running(before) if over(before, &runs) => Stage::Ended,
                // Not `now_ns` of the call before: that was taken before the counters were read.
                Stage::Ended => Stage::Draining(now_ns),
                Stage::Draining(since_ns) if read_to_ns > *since_ns => {
                    writes.push(Write::Publish(handover.key, left));
                    Stage::Published(left)
                }
                Stage::Published(published) => Stage::Reading(*published, Arc::clone(&runs)),
                Stage::Reading(published, before) if over(before, &runs) => {
                    if datapath.queued(*slot)? == *published {
                        writes.push(Write::Settle(handover.key));
                        settled.push(*slot);
                        continue;
                    }
                    if left == *published {
                        continue;
                    }
                    writes.push(Write::Publish(handover.key, left));
                    Stage::Published(left)
                }
                stage => stage.clone(),
            };
        }
        for slot in settled {
            self.open.remove(&slot);
        }
        Ok(writes)
    }
}

/// Whether none of the programs that ran before runs any more.
fn over(before: &Runs, now: &Runs) -> bool {
    let ran = |runs: u64| runs % 2 == 1;
    before
        .iter()
        .zip(now.iter())
        .all(|(before, now)| !ran(*before) || now != before)
}

#[cfg(test)]
mod tests;
