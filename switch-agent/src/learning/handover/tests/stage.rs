//! Who goes on when: the world, an arbitrary schedule, and the rings between the two sides.

use std::cell::{Cell, RefCell};

use switch_ebpf::abi::{KIND_QUEUED, KIND_UNDECIDED, MissHeader};
use zerocopy::{FromZeros, IntoBytes};

use super::{
    super::Datapath,
    world::{CPUS, Frame, Record, To, World},
};
use crate::learning::inflow::Source;

/// What an operator may order.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    Bind(usize, u32),
    Unbind(usize),
    Move(usize, u32),
}

/// Who goes on.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// A CPU's program, by so many steps.
    Cpu(usize, usize),
    /// The agent, by so many.
    Agent(usize),
    /// An operator gives an order.
    Operator(Order),
    /// The agent is told to stop, which it does at the end of a turn in which it holds nothing back,
    /// and another is started.
    Restart,
    /// The agent is killed, and another is started.
    Kill,
}

/// The agent was killed, or has stopped.
#[derive(Debug)]
pub struct Killed;

/// The world and who goes on in it. When the choices are over, everybody does in turn.
pub struct Stage {
    pub world: RefCell<World>,
    choices: RefCell<std::vec::IntoIter<Choice>>,
    /// Steps of the agent before the next choice.
    steps: Cell<usize>,
    pub orders: RefCell<Vec<Order>>,
    pub stop: Cell<bool>,
}

impl Stage {
    pub fn new(world: World, choices: Vec<Choice>) -> Self {
        Self {
            world: RefCell::new(world),
            choices: RefCell::new(choices.into_iter()),
            steps: Cell::new(0),
            orders: RefCell::default(),
            stop: Cell::new(false),
        }
    }

    /// Lets the others do what they do before the agent's next step.
    pub fn others(&self) -> Result<(), Killed> {
        self.world.borrow_mut().now_ns += 1;
        if let Some(left) = self.steps.get().checked_sub(1) {
            self.steps.set(left);
            return Ok(());
        }
        loop {
            let choice = self.choices.borrow_mut().next();
            let mut world = self.world.borrow_mut();
            match choice {
                Some(Choice::Cpu(cpu, steps)) => (0..steps).for_each(|_| world.step(cpu)),
                Some(Choice::Operator(order)) => self.orders.borrow_mut().push(order),
                Some(Choice::Agent(steps)) => {
                    self.steps.set(steps - 1);
                    return Ok(());
                }
                Some(Choice::Restart) => self.stop.set(true),
                Some(Choice::Kill) => return Err(Killed),
                None => {
                    (0..CPUS).for_each(|cpu| world.step(cpu));
                    return Ok(());
                }
            }
        }
    }

    pub fn is_over(&self) -> bool {
        self.choices.borrow().as_slice().is_empty()
    }
}

impl Datapath for Stage {
    type Error = Killed;

    fn runs(&self) -> Result<Vec<u64>, Killed> {
        // CPU by CPU, as the kernel copies them.
        (0..CPUS)
            .map(|cpu| {
                self.others()?;
                Ok(self.world.borrow().runs[cpu])
            })
            .collect()
    }

    fn queued(&self, slot: u32, phase: u8) -> Result<u64, Killed> {
        self.others()?;
        let to = To::in_phase(phase);
        Ok(self.world.borrow().queued[slot as usize][to as usize])
    }
}

/// A ring, from the agent's side.
pub struct Tap<'a> {
    pub stage: &'a Stage,
    pub from: To,
}

impl Source for Tap<'_> {
    fn copy(&mut self, to: &mut Vec<u8>) -> bool {
        let Some(record) = self.stage.world.borrow_mut().next_record(self.from) else {
            return false;
        };
        to.extend_from_slice(&written(&record));
        true
    }
}

/// A record's bytes. What it has of a frame is who that is.
fn written(record: &Record) -> Vec<u8> {
    let Frame {
        cpu,
        number,
        address,
        site,
    } = record.frame;
    let frame = [cpu, number, address].map(|n| u8::try_from(n).expect("few of each"));
    let (slot, number) = record.queued.unwrap_or_default();
    let header = MissHeader {
        time_ns: record.time_ns,
        number,
        kind: if record.undecided {
            KIND_UNDECIDED
        } else {
            KIND_QUEUED
        },
        site,
        slot,
        length: frame.len() as u32,
        ..FromZeros::new_zeroed()
    };
    [header.as_bytes(), &frame].concat()
}

/// The same, read.
pub fn read(record: &[u8]) -> (MissHeader, Frame) {
    let (header, frame) = MissHeader::split(record).expect("a whole record");
    let &[cpu, number, address] = frame else {
        panic!("{frame:?} is no frame");
    };
    let [cpu, number, address] = [cpu, number, address].map(usize::from);
    let site = header.site;
    let frame = Frame {
        cpu,
        number,
        address,
        site,
    };
    (header, frame)
}
