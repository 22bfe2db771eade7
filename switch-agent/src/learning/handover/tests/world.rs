//! The datapath: CPUs that run the program of `switch-ebpf/src/bin/switch`, each on its frames one
//! after the other, in steps between which anything may happen elsewhere.
//!
//! Left out: that a frame which a program forwards leaves when its CPU has polled the NIC, some
//! microseconds later, and memory that is seen by others later than it was written.

use std::collections::{HashSet, VecDeque};

use switch_ebpf::{
    abi::{Binding, PHASE_SETTLED},
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

/// A record of the miss ring. It has its place from its reservation on, and can be read once it is
/// no longer busy.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub frame: Frame,
    pub time_ns: u64,
    /// Slot and number, where it was numbered.
    pub queued: Option<(u32, u64)>,
    busy: bool,
}

/// Where a program is.
#[derive(Clone, Copy, Debug)]
enum At {
    Begun,
    Decided(Option<Binding>),
    /// Has to wait behind others if any are on their way.
    Behind(Binding, How),
    /// Goes into the ring, numbered under this slot or not.
    Miss(Option<u32>),
    Timed(Option<u32>, u64),
    /// Has the record of this index, counted from the first there ever was.
    Reserved(Option<u32>, usize),
    Numbered(usize),
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
    pub queued: [u64; ADDRESSES],
    pub runs: [u64; CPUS],
    pub departures: Vec<(Frame, How)>,
    /// Frames that there was no room for, or that an agent had when it was killed.
    pub lost: HashSet<Frame>,
    ring: VecDeque<Record>,
    /// Records that were read.
    read: usize,
    /// Records that fit into the ring.
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
                quarantine_moves: u32::MAX,
                quarantine_window_ns: u64::MAX,
                quarantine_ns: 0,
                pin_mac: false,
            },
            bindings: [None; ADDRESSES],
            queued: [0; ADDRESSES],
            runs: [0; CPUS],
            departures: Vec::new(),
            lost: HashSet::new(),
            ring: VecDeque::new(),
            read: 0,
            room,
            cpus: frames.iter().enumerate().map(cpu).collect(),
        }
    }

    /// Another frame arrives.
    pub fn arrive(&mut self, frame: Frame) {
        self.cpus[frame.cpu].arriving.push_back(frame);
    }

    /// Whether every frame that arrived has been decided on, and none is in the ring.
    pub fn is_quiet(&self) -> bool {
        let quiet = |cpu: &Cpu| cpu.arriving.is_empty() && cpu.running.is_none();
        self.cpus.iter().all(quiet) && !self.is_readable()
    }

    /// Whether the ring has anything in it, finished or not.
    pub fn is_readable(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Reads the ring's first record, unless it is still busy.
    pub fn next_record(&mut self) -> Option<Record> {
        let first = self.ring.front().filter(|record| !record.busy).copied()?;
        self.ring.pop_front();
        self.read += 1;
        Some(first)
    }

    /// One step of a CPU's program, or the arrival of its next frame.
    pub fn step(&mut self, cpu: usize) {
        self.now_ns += 1;
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
            At::Begun => At::Decided(self.bindings[frame.address]),
            At::Decided(binding) => self.decide(frame, binding),
            At::Behind(binding, how) => {
                if binding.left == self.queued[binding.slot as usize] {
                    At::Leaving(Some(how))
                } else {
                    At::Miss(Some(binding.slot))
                }
            }
            At::Miss(slot) => At::Timed(slot, self.now_ns),
            At::Timed(slot, time_ns) => self.reserve(frame, slot, time_ns),
            At::Reserved(Some(slot), index) => {
                let queued = &mut self.queued[slot as usize];
                *queued += 1;
                self.ring[index - self.read].queued = Some((slot, *queued));
                At::Numbered(index)
            }
            At::Reserved(None, index) | At::Numbered(index) => {
                self.ring[index - self.read].busy = false;
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
            return At::Miss(None);
        };
        let mut how = How::Direct;
        if binding.site != frame.site {
            let hold_down_ns = self.policy.hold_down_data_ns;
            if !rule::is_late(&binding, frame.site, hold_down_ns, self.now_ns) {
                return At::Miss(None);
            }
            how = How::Late;
        }
        if binding.phase == PHASE_SETTLED {
            At::Leaving(Some(how))
        } else {
            At::Behind(binding, how)
        }
    }

    fn reserve(&mut self, frame: Frame, slot: Option<u32>, time_ns: u64) -> At {
        if self.ring.len() >= self.room {
            if slot.is_some() {
                return At::Leaving(Some(How::Overtaking));
            }
            self.lost.insert(frame);
            return At::Leaving(None);
        }
        self.ring.push_back(Record {
            frame,
            time_ns,
            queued: None,
            busy: true,
        });
        At::Reserved(slot, self.read + self.ring.len() - 1)
    }
}
