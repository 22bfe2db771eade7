//! The agent: the learner's loop and the flow table, in steps as well.

use std::cell::{Cell, RefCell};

use switch_ebpf::{
    abi::{Binding, BindingKey, LEFT_UNKNOWN, PHASE_HANDOVER, PHASE_SETTLED},
    frame::{Address, Evidence},
    rule::{self, Claim, Verdict},
};

use super::{
    super::{Datapath, Handovers, Write},
    world::{ADDRESSES, CPUS, Frame, How, Record, World},
};

/// Records read in one turn. Small, so that a turn often ends before the ring does.
const TURN: usize = 3;

/// What an operator may order.
#[derive(Clone, Copy, Debug)]
pub enum Order {
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
    /// The agent is told to stop, which it does at the end of its turn, and another is started.
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
    orders: RefCell<Vec<Order>>,
    stop: Cell<bool>,
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
    fn others(&self) -> Result<(), Killed> {
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

    fn is_over(&self) -> bool {
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

    fn queued(&self, slot: u32) -> Result<u64, Killed> {
        self.others()?;
        Ok(self.world.borrow().queued[slot as usize])
    }
}

/// The agent.
#[derive(Default)]
pub struct Agent {
    handovers: Handovers,
    free: Vec<u32>,
    outbox: Vec<Frame>,
    leaving: Vec<(u32, u64)>,
}

fn key(address: usize) -> BindingKey {
    BindingKey {
        network: 0,
        address: Address::v4([10, 0, 0, u8::try_from(address).expect("few addresses")]),
    }
}

fn address(key: BindingKey) -> usize {
    (0..ADDRESSES)
        .find(|address| self::key(*address) == key)
        .expect("one of the addresses")
}

impl Agent {
    /// Starts one, and others when it is killed, until nothing is under way. What it has when it is
    /// killed is lost.
    pub fn run(stage: &Stage) -> Result<(), String> {
        loop {
            let mut agent = Self::default();
            if let Ok(done) = agent.live(stage) {
                return done;
            }
            stage.world.borrow_mut().lost.extend(agent.outbox);
        }
    }

    /// Turns of the loop, until nothing is under way; an error when that takes for ever.
    fn live(&mut self, stage: &Stage) -> Result<Result<(), String>, Killed> {
        self.adopt(stage)?;
        let mut turns_left = 1_000;
        while turns_left > 0 {
            self.turn(stage)?;
            if stage.stop.take() {
                return Err(Killed);
            }
            if stage.is_over() && stage.world.borrow().is_quiet() && self.handovers.is_empty() {
                return Ok(Ok(()));
            }
            turns_left -= usize::from(stage.is_over());
        }
        Ok(Err(format!("it does not settle: {:?}", self.handovers)))
    }

    pub fn adopt(&mut self, stage: &Stage) -> Result<(), Killed> {
        let bindings = stage.world.borrow().bindings;
        let used = |slot: &u32| bindings.iter().flatten().any(|bound| bound.slot == *slot);
        self.free = (0..ADDRESSES as u32).rev().filter(|s| !used(s)).collect();
        for (address, binding) in bindings.into_iter().enumerate() {
            if let Some(binding) = binding.filter(|binding| binding.phase != PHASE_SETTLED) {
                self.hand_over(stage, address, binding)?;
            }
        }
        Ok(())
    }

    /// One turn of the learner's loop.
    pub fn turn(&mut self, stage: &Stage) -> Result<(), Killed> {
        let before_ns = stage.world.borrow().now_ns;
        stage.others()?;
        let readable = stage.world.borrow().is_readable();
        stage.others()?;
        let read_to_ns = if readable {
            self.read(stage)?
        } else {
            before_ns
        };
        self.flush(stage)?;
        let now_ns = stage.world.borrow().now_ns;
        stage.others()?;
        for write in self.handovers.advance(stage, now_ns, read_to_ns)? {
            let (key, phase, left) = match write {
                Write::Publish(key, left) => (key, PHASE_HANDOVER, left),
                Write::Settle(key) => (key, PHASE_SETTLED, 0),
            };
            stage.others()?;
            let binding = stage.world.borrow().bindings[address(key)];
            let binding = binding.expect("what is handed over is bound");
            let binding = Binding {
                phase,
                left,
                ..binding
            };
            set(stage, address(key), Some(binding))?;
        }
        let orders = std::mem::take(&mut *stage.orders.borrow_mut());
        orders
            .into_iter()
            .try_for_each(|order| self.obey(stage, order))
    }

    fn read(&mut self, stage: &Stage) -> Result<u64, Killed> {
        let mut read_to_ns = 0;
        for _ in 0..TURN {
            stage.others()?;
            let Some(record) = stage.world.borrow_mut().next_record() else {
                break;
            };
            self.outbox.push(record.frame);
            read_to_ns = read_to_ns.max(record.time_ns);
            match record.queued {
                Some(numbered) => self.leaving.push(numbered),
                None => self.learn(stage, &record)?,
            }
        }
        Ok(read_to_ns)
    }

    fn learn(&mut self, stage: &Stage, record: &Record) -> Result<(), Killed> {
        let Frame { address, site, .. } = record.frame;
        stage.others()?;
        let (now_ns, policy, binding) = {
            let world = stage.world.borrow();
            (world.now_ns, world.policy, world.bindings[address])
        };
        let claim = Claim {
            site,
            evidence: Evidence::Data,
            mac: [2; 6],
            authorised: true,
        };
        match rule::judge(binding.as_ref(), &claim, &policy, now_ns) {
            Verdict::Create => {
                let slot = self.free.pop().expect("a slot for each address");
                let created = rule::created(site, slot, now_ns, claim.mac);
                self.hand_over(stage, address, created)
            }
            Verdict::Move => {
                let before = binding.expect("what moves is bound");
                let moved = rule::moved(&before, &claim, &policy, now_ns);
                self.hand_over(stage, address, moved)
            }
            Verdict::Refresh | Verdict::Late => Ok(()),
            verdict => unreachable!("{verdict:?} with this policy"),
        }
    }

    fn hand_over(&mut self, stage: &Stage, address: usize, to: Binding) -> Result<(), Killed> {
        let held = Binding {
            phase: PHASE_HANDOVER,
            left: LEFT_UNKNOWN,
            ..to
        };
        set(stage, address, Some(held))?;
        let queued = stage.queued(to.slot)?;
        self.handovers.begin(to.slot, key(address), queued);
        Ok(())
    }

    fn flush(&mut self, stage: &Stage) -> Result<(), Killed> {
        while !self.outbox.is_empty() {
            stage.others()?;
            let frame = self.outbox.remove(0);
            let mut world = stage.world.borrow_mut();
            world.departures.push((frame, How::Agent));
        }
        for (slot, number) in self.leaving.drain(..) {
            self.handovers.left(slot, number);
        }
        Ok(())
    }

    fn obey(&mut self, stage: &Stage, order: Order) -> Result<(), Killed> {
        stage.others()?;
        let (Order::Unbind(address) | Order::Move(address, _)) = order;
        let (now_ns, binding) = {
            let world = stage.world.borrow();
            (world.now_ns, world.bindings[address])
        };
        match (order, binding) {
            (Order::Unbind(_), Some(binding)) => {
                set(stage, address, None)?;
                self.handovers.abandon(binding.slot);
                self.free.push(binding.slot);
                Ok(())
            }
            (Order::Move(_, site), Some(binding)) if binding.site != site => {
                let moved = rule::moved_by_operator(&binding, site, now_ns);
                self.hand_over(stage, address, moved)
            }
            _ => Ok(()),
        }
    }
}

/// Writes or removes a binding, at once for every CPU.
fn set(stage: &Stage, address: usize, binding: Option<Binding>) -> Result<(), Killed> {
    stage.others()?;
    stage.world.borrow_mut().bindings[address] = binding;
    stage.others()
}
