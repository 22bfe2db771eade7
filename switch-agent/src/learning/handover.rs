//! Keeps the frames of an address in order while its binding is new.
//!
//! When the agent binds or moves an address, frames of it are on their way through the ring and
//! through the agent. The datapath must not forward those behind them by itself until they have
//! left. So a binding begins in the phase *handover*:
//!
//! 1. **Held.** [`Binding::left`](switch_ebpf::abi::Binding::left) is unknown: the datapath puts
//!    every frame of the address into the ring and numbers it. Programs that read the maps before
//!    the binding was written may still be running; they are done when each CPU's count of finished
//!    frames has caught up with its count of received ones as of after the write. What they put
//!    into the ring is out once a later record was, or the ring was empty.
//! 2. **Published.** The agent says in `left` how many numbered frames have left it. The datapath
//!    forwards a frame by itself as soon as that is how many have ever been numbered: then none is
//!    on its way. From then on no frame is numbered, so the state lasts.
//! 3. **Settled.** Once no program runs that could have read an older `left`, and the numbers are
//!    equal, the phase is over and costs nothing any more.
//!
//! This module is only the bookkeeping: counters and time come in, what to write comes out.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use switch_ebpf::abi::{BindingKey, Traffic};

/// Frames received by each CPU at one moment.
type Received = Arc<[u64]>;

#[derive(Clone, Debug)]
enum Stage {
    /// The binding was written, nothing is known of programs that run.
    Written,
    /// Programs that had received these frames may have read the maps before.
    Running(Received),
    /// None of them runs any more since this time; the ring has to be read up to there.
    Ended(u64),
    /// This much was published, nothing is known of programs that run.
    Published(u64),
    /// Programs that had received these frames may have read an older number.
    Reading(u64, Received),
}

#[derive(Clone, Debug)]
struct Handover {
    key: BindingKey,
    /// Index of the site's traffic counters.
    traffic: u32,
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
    /// An attachment's traffic on every CPU.
    fn traffic(&self, index: u32) -> Result<Vec<Traffic>, Self::Error>;
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
    pub fn begin(&mut self, slot: u32, key: BindingKey, traffic: u32, queued: u64) {
        let handover = Handover {
            key,
            traffic,
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
        let mut cpus: HashMap<u32, (Received, Vec<u64>)> = HashMap::new();
        let mut writes = Vec::new();
        let mut settled = Vec::new();
        for (slot, handover) in &mut self.open {
            let (received, done) = match cpus.entry(handover.traffic) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let traffic = datapath.traffic(handover.traffic)?;
                    let received = traffic.iter().map(|cpu| cpu.rx_packets).collect();
                    let done = traffic.iter().map(|cpu| cpu.done).collect();
                    unknown.insert((received, done))
                }
            };
            let over =
                |before: &Received| before.iter().zip(done.iter()).all(|(rx, done)| done >= rx);
            let left = handover.base + handover.left;
            handover.stage = match &handover.stage {
                Stage::Written => Stage::Running(Arc::clone(received)),
                Stage::Running(before) if over(before) => Stage::Ended(now_ns),
                Stage::Ended(since_ns) if read_to_ns > *since_ns => {
                    writes.push(Write::Publish(handover.key, left));
                    Stage::Published(left)
                }
                Stage::Published(published) => Stage::Reading(*published, Arc::clone(received)),
                Stage::Reading(published, before) if over(before) => {
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
