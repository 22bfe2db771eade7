//! The datapath: CPUs that run the program of `switch-ebpf/src/bin/switch`, each on its frames one
//! after the other, in steps between which anything may happen elsewhere.
//!
//! Left out: that a frame which a program forwards leaves when its CPU has polled the NIC, some
//! microseconds later, and memory that is seen by others later than it was written.

use std::collections::{HashSet, VecDeque};

use switch_ebpf::{
    abi::{Binding, PHASE_NEWCOMER, PHASE_SETTLED},
    rule::{self, Learn, Policy},
};

pub const CPUS: usize = 3;
pub const SITES: u32 = 3;
/// Addresses, and slots for them.
pub const ADDRESSES: usize = 2;

/// A frame of an address, on its way down. Frames of one CPU have rising numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    pub cpu: usize,
    pub number: usize,
    pub address: usize,
    pub site: u32,
}

/// How a frame left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The datapath forwarded it by its binding.
    Direct,
    /// The datapath forwarded it as a straggler.
    Late,
    /// The datapath forwarded it because the ring had no room for it.
    Overtaking,
    /// The agent sent it.
    Agent,
}

/// The rings, of which each frame goes into one.
#[derive(Clone, Copy, Debug)]
pub enum To {
    Misses,
    Newcomers,
}

impl To {
    /// Where frames of bound addresses queue up.
    pub fn in_phase(phase: u8) -> Self {
        if phase == PHASE_NEWCOMER {
            Self::Newcomers
        } else {
            Self::Misses
        }
    }
}

/// A record of a ring. It has its place from its reservation on, and can be read once it is
/// no longer busy.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub frame: Frame,
    pub time_ns: u64,
    /// Whether the agent is to decide on it.
    pub undecided: bool,
    /// Slot and number, where it was numbered.
    pub queued: Option<(u32, u64)>,
    busy: bool,
}

/// A way through the agent.
#[derive(Clone, Copy, Debug)]
struct Way {
    to: To,
    undecided: bool,
    /// The slot it is numbered under, if it is.
    slot: Option<u32>,
}

/// A ring.
#[derive(Clone, Debug, Default)]
struct Ring {
    records: VecDeque<Record>,
    /// Records that were read.
    read: usize,
}

impl Ring {
    /// A record by its index, counted from the first there ever was.
    fn record(&mut self, index: usize) -> &mut Record {
        &mut self.records[index - self.read]
    }
}

/// Where a program is.
#[derive(Clone, Copy, Debug)]
enum At {
    Begun,
    /// Has found no shortcut.
    Asks,
    Decided(Option<Binding>),
    /// Has to wait behind others if any are on their way.
    Behind(Binding, How),
    /// Speaks for a move.
    Claims(Binding),
    /// Goes into a ring.
    Miss(Way),
    Timed(Way, u64),
    /// Has the record of this index.
    Reserved(Way, usize),
    Numbered(To, usize),
    Leaving(Option<How>),
    Ended(Option<How>),
}

#[derive(Clone, Debug, Default)]
struct Cpu {
    arriving: VecDeque<Frame>,
    running: Option<(Frame, At)>,
}

/// The datapath, its maps and what is known of each frame.
#[derive(Clone, Debug)]
pub struct World {
    pub now_ns: u64,
    pub policy: Policy,
    pub bindings: [Option<Binding>; ADDRESSES],
    /// The sites that open shortcuts lead to.
    pub shortcuts: [Option<u32>; ADDRESSES],
    /// Whether one was ever open that the binding contradicted.
    pub contradicted: bool,
    /// By slot and [`To`].
    pub queued: [[u64; 2]; ADDRESSES],
    pub runs: [u64; CPUS],
    pub departures: Vec<(Frame, How)>,
    /// Frames that there was no room for, or that an agent had when it was killed.
    pub lost: HashSet<Frame>,
    /// Frames that the agent there is has read.
    pub taken: Vec<Frame>,
    /// By [`To`].
    rings: [Ring; 2],
    /// Records that fit into each ring.
    room: usize,
    cpus: Vec<Cpu>,
}

impl World {
    /// `frames` are address and site of what arrives at each CPU, in order.
    pub fn new(frames: &[Vec<(usize, u32)>], hold_down_ns: u64, room: usize) -> Self {
        let cpu = |(cpu, frames): (usize, &Vec<(usize, u32)>)| {
            let frame = |(number, &(address, site))| Frame {
                cpu,
                number,
                address,
                site,
            };
            Cpu {
                arriving: frames.iter().enumerate().map(frame).collect(),
                running: None,
            }
        };
        Self {
            // Not zero, which stands for never.
            now_ns: 1_000_000,
            policy: Policy {
                learn: Learn::Auto,
                hold_down_data_ns: hold_down_ns,
                hold_down_announce_ns: hold_down_ns,
                quarantine_moves: u16::MAX,
                quarantine_window_ns: u64::MAX,
                quarantine_ns: 0,
                pin_mac: false,
            },
            bindings: [None; ADDRESSES],
            shortcuts: [None; ADDRESSES],
            contradicted: false,
            queued: [[0; 2]; ADDRESSES],
            runs: [0; CPUS],
            departures: Vec::new(),
            lost: HashSet::new(),
            taken: Vec::new(),
            rings: Default::default(),
            room,
            cpus: frames.iter().enumerate().map(cpu).collect(),
        }
    }

    /// Another frame arrives.
    pub fn arrive(&mut self, frame: Frame) {
        self.cpus[frame.cpu].arriving.push_back(frame);
    }

    /// Whether every frame that arrived has been decided on, and none is in a ring.
    pub fn is_quiet(&self) -> bool {
        let quiet = |cpu: &Cpu| cpu.arriving.is_empty() && cpu.running.is_none();
        let empty = |to| !self.is_readable(to);
        self.cpus.iter().all(quiet) && [To::Misses, To::Newcomers].into_iter().all(empty)
    }

    /// Whether a ring has anything in it, finished or not.
    pub fn is_readable(&self, to: To) -> bool {
        !self.rings[to as usize].records.is_empty()
    }

    /// Reads a ring's first record, unless it is still busy.
    pub fn next_record(&mut self, to: To) -> Option<Record> {
        let ring = &mut self.rings[to as usize];
        let first = ring
            .records
            .front()
            .filter(|record| !record.busy)
            .copied()?;
        ring.records.pop_front();
        ring.read += 1;
        self.taken.push(first.frame);
        Some(first)
    }

    /// One step of a CPU's program, or the arrival of its next frame.
    pub fn step(&mut self, cpu: usize) {
        self.now_ns += 1;
        for (binding, shortcut) in self.bindings.iter().zip(self.shortcuts) {
            let settled = binding.filter(|binding| binding.phase == PHASE_SETTLED);
            let agrees = settled.map(|binding| binding.site) == shortcut;
            self.contradicted |= shortcut.is_some() && !agrees;
        }
        let next = match self.cpus[cpu].running {
            Some((frame, at)) => self.go_on(frame, at).map(|at| (frame, at)),
            None => self.cpus[cpu].arriving.pop_front().map(|frame| {
                self.runs[cpu] += 1;
                (frame, At::Begun)
            }),
        };
        self.cpus[cpu].running = next;
    }

    /// What a program does next, and where it is then.
    fn go_on(&mut self, frame: Frame, at: At) -> Option<At> {
        Some(match at {
            At::Begun if self.shortcuts[frame.address] == Some(frame.site) => {
                At::Leaving(Some(How::Direct))
            }
            At::Begun => At::Asks,
            At::Asks => At::Decided(self.bindings[frame.address]),
            At::Decided(binding) => self.decide(frame, binding),
            At::Behind(binding, how) => {
                if self.nothing_is_before(&binding) {
                    At::Leaving(Some(how))
                } else {
                    At::Miss(Way {
                        to: To::in_phase(binding.phase),
                        undecided: false,
                        slot: Some(binding.slot),
                    })
                }
            }
            At::Claims(binding) => {
                let queue = binding.phase == PHASE_NEWCOMER && !self.nothing_is_before(&binding);
                At::Miss(Way {
                    to: if queue { To::Newcomers } else { To::Misses },
                    undecided: true,
                    slot: queue.then_some(binding.slot),
                })
            }
            At::Miss(way) => At::Timed(way, self.now_ns),
            At::Timed(way, time_ns) => self.reserve(frame, way, time_ns),
            At::Reserved(way, index) => {
                if let Some(slot) = way.slot {
                    let queued = &mut self.queued[slot as usize][way.to as usize];
                    *queued += 1;
                    self.rings[way.to as usize].record(index).queued = Some((slot, *queued));
                }
                At::Numbered(way.to, index)
            }
            At::Numbered(to, index) => {
                self.rings[to as usize].record(index).busy = false;
                At::Leaving(None)
            }
            At::Leaving(how) => {
                self.runs[frame.cpu] += 1;
                At::Ended(how)
            }
            At::Ended(how) => {
                if let Some(how) = how {
                    self.departures.push((frame, how));
                }
                return None;
            }
        })
    }

    fn decide(&self, frame: Frame, binding: Option<Binding>) -> At {
        let Some(binding) = binding else {
            return At::Miss(Way {
                to: To::Newcomers,
                undecided: true,
                slot: None,
            });
        };
        let mut how = How::Direct;
        if binding.site != frame.site {
            let hold_down_ns = self.policy.hold_down_data_ns;
            if !rule::is_late(&binding, frame.site, hold_down_ns, self.now_ns) {
                return At::Claims(binding);
            }
            how = How::Late;
        }
        if binding.phase == PHASE_SETTLED {
            At::Leaving(Some(how))
        } else {
            At::Behind(binding, how)
        }
    }

    /// Whether no frame of a binding is on its way through the agent.
    fn nothing_is_before(&self, binding: &Binding) -> bool {
        let to = To::in_phase(binding.phase);
        binding.left == self.queued[binding.slot as usize][to as usize]
    }

    fn reserve(&mut self, frame: Frame, way: Way, time_ns: u64) -> At {
        let ring = &mut self.rings[way.to as usize];
        if ring.records.len() >= self.room {
            if !way.undecided {
                return At::Leaving(Some(How::Overtaking));
            }
            self.lost.insert(frame);
            return At::Leaving(None);
        }
        ring.records.push_back(Record {
            frame,
            time_ns,
            undecided: way.undecided,
            queued: None,
            busy: true,
        });
        At::Reserved(way, ring.read + ring.records.len() - 1)
    }
}
