//! The agent: the learner's loop and the flow table, in steps as well.

use switch_ebpf::{
    abi::{
        Binding, BindingKey, KIND_UNDECIDED, LEFT_UNKNOWN, PHASE_HANDOVER, PHASE_NEWCOMER,
        PHASE_SETTLED,
    },
    frame::{Address, Evidence},
    rule::{self, Claim, Verdict},
};

use super::{
    super::{Begin, Datapath, Handovers, Write},
    stage::{Killed, Order, Stage, Tap, read},
    world::{ADDRESSES, Frame, How, To},
};
use crate::learning::inflow::Inflow;

/// Records read in one turn. Few, so that a turn often ends before a ring does, and misses go first.
const MISSES_A_TURN: usize = 3;
const NEWCOMERS_A_TURN: usize = 2;

/// The agent.
pub struct Agent<'a> {
    inflow: Inflow<Tap<'a>>,
    handovers: Handovers,
    free: Vec<u32>,
    outbox: Vec<Frame>,
    leaving: Vec<(u8, u32, u64)>,
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

impl<'a> Agent<'a> {
    pub fn new(stage: &'a Stage) -> Self {
        let tap = |from| Tap { stage, from };
        Self {
            inflow: Inflow::new(tap(To::Misses), tap(To::Newcomers)),
            handovers: Handovers::default(),
            free: Vec::new(),
            outbox: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Starts one, and others when it is killed, until nothing is under way. What it has when it is
    /// killed is lost.
    pub fn run(stage: &'a Stage) -> Result<(), String> {
        loop {
            stage.world.borrow_mut().taken.clear();
            if let Ok(done) = Self::new(stage).live(stage) {
                return done;
            }
            let world = &mut *stage.world.borrow_mut();
            let has_left = |frame: &Frame| world.departures.iter().any(|(left, _)| left == frame);
            let taken = world.taken.iter().filter(|frame| !has_left(frame));
            world.lost.extend(taken);
        }
    }

    /// Turns of the loop, until nothing is under way; an error when that takes for ever.
    fn live(&mut self, stage: &Stage) -> Result<Result<(), String>, Killed> {
        self.adopt(stage)?;
        let mut turns_left = 1_000;
        while turns_left > 0 {
            self.turn(stage)?;
            if !self.inflow.is_holding() {
                if stage.stop.take() {
                    return Err(Killed);
                }
                if stage.is_over() && stage.world.borrow().is_quiet() && self.handovers.is_empty() {
                    return Ok(Ok(()));
                }
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
                let known_ns = self.evidence_ns(&binding);
                self.hand_over(stage, address, binding, known_ns)?;
            }
        }
        Ok(())
    }

    /// One turn of the learner's loop.
    pub fn turn(&mut self, stage: &Stage) -> Result<(), Killed> {
        let before_ns = stage.world.borrow().now_ns;
        stage.others()?;
        let misses = stage.world.borrow().is_readable(To::Misses);
        stage.others()?;
        let newcomers = stage.world.borrow().is_readable(To::Newcomers);
        stage.others()?;
        self.inflow.looked(before_ns, misses, newcomers);
        self.read(stage)?;
        let now_ns = stage.world.borrow().now_ns;
        stage.others()?;
        for write in self
            .handovers
            .advance(stage, now_ns, self.inflow.read_to())?
        {
            let (key, phase, left) = match write {
                Write::Publish { key, phase, left } => (key, phase, left),
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

    fn read(&mut self, stage: &Stage) -> Result<(), Killed> {
        let mut record = Vec::new();
        let mut misses_left = self.read_misses(stage, MISSES_A_TURN, &mut record)?;
        self.flush(stage)?;
        for _ in 0..NEWCOMERS_A_TURN {
            misses_left = self.read_misses(stage, misses_left, &mut record)?;
            stage.others()?;
            if !self.inflow.next_newcomer(&mut record) {
                break;
            }
            self.work_on(stage, PHASE_NEWCOMER, &record)?;
        }
        self.flush(stage)
    }

    fn read_misses(
        &mut self,
        stage: &Stage,
        most: usize,
        record: &mut Vec<u8>,
    ) -> Result<usize, Killed> {
        for read in 0..most {
            stage.others()?;
            if !self.inflow.next_miss(record) {
                return Ok(most - read);
            }
            self.work_on(stage, PHASE_HANDOVER, record)?;
        }
        Ok(0)
    }

    fn work_on(&mut self, stage: &Stage, phase: u8, record: &[u8]) -> Result<(), Killed> {
        let (header, frame) = read(record);
        let queued = header.queued();
        self.leaving
            .extend(queued.map(|(slot, number)| (phase, slot, number)));
        if header.kind == KIND_UNDECIDED {
            self.learn(stage, frame, header.time_ns)?;
        }
        self.outbox.push(frame);
        Ok(())
    }

    fn evidence_ns(&self, binding: &Binding) -> u64 {
        let known = self.handovers.evidence_ns(binding.slot);
        known.unwrap_or(binding.created_at_ns.max(binding.moved_at_ns))
    }

    fn learn(&mut self, stage: &Stage, frame: Frame, time_ns: u64) -> Result<(), Killed> {
        let Frame { address, site, .. } = frame;
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
            Verdict::Create => self.create(stage, (address, site), now_ns, time_ns),
            Verdict::Move => {
                let before = binding.expect("what moves is bound");
                if time_ns < self.evidence_ns(&before) {
                    return Ok(());
                }
                let moved = rule::moved(&before, &claim, &policy, now_ns);
                self.hand_over(stage, address, moved, time_ns)
            }
            Verdict::Refresh | Verdict::Late => Ok(()),
            verdict => unreachable!("{verdict:?} with this policy"),
        }
    }

    fn create(
        &mut self,
        stage: &Stage,
        (address, site): (usize, u32),
        now_ns: u64,
        evidence_ns: u64,
    ) -> Result<(), Killed> {
        let slot = self.free.pop().expect("a slot for each address");
        let created = Binding {
            phase: PHASE_NEWCOMER,
            ..rule::created(site, slot, now_ns, [2; 6])
        };
        self.hand_over(stage, address, created, evidence_ns)
    }

    fn hand_over(
        &mut self,
        stage: &Stage,
        address: usize,
        to: Binding,
        evidence_ns: u64,
    ) -> Result<(), Killed> {
        let phase = match to.phase {
            PHASE_NEWCOMER => PHASE_NEWCOMER,
            _ => PHASE_HANDOVER,
        };
        let held = Binding {
            phase,
            left: LEFT_UNKNOWN,
            ..to
        };
        set(stage, address, Some(held))?;
        let queued = stage.queued(to.slot, phase)?;
        let begin = Begin {
            key: key(address),
            phase,
            queued,
            evidence_ns,
        };
        self.handovers.begin(to.slot, begin);
        Ok(())
    }

    fn flush(&mut self, stage: &Stage) -> Result<(), Killed> {
        while !self.outbox.is_empty() {
            stage.others()?;
            let frame = self.outbox.remove(0);
            let mut world = stage.world.borrow_mut();
            world.departures.push((frame, How::Agent));
        }
        for (phase, slot, number) in self.leaving.drain(..) {
            self.handovers.left(phase, slot, number);
        }
        Ok(())
    }

    fn obey(&mut self, stage: &Stage, order: Order) -> Result<(), Killed> {
        stage.others()?;
        let (Order::Bind(address, _) | Order::Unbind(address) | Order::Move(address, _)) = order;
        let (now_ns, binding) = {
            let world = stage.world.borrow();
            (world.now_ns, world.bindings[address])
        };
        match (order, binding) {
            (Order::Bind(_, site), None) => self.create(stage, (address, site), now_ns, now_ns),
            (Order::Unbind(_), Some(binding)) => {
                set(stage, address, None)?;
                self.handovers.abandon(binding.slot);
                self.free.push(binding.slot);
                Ok(())
            }
            (Order::Move(_, site), Some(binding)) if binding.site != site => {
                let moved = rule::moved_by_operator(&binding, site, now_ns);
                self.hand_over(stage, address, moved, now_ns)
            }
            _ => Ok(()),
        }
    }
}

/// Writes or removes a binding, at once for every CPU, and the shortcut to it: closed before, and open
/// after it has settled.
fn set(stage: &Stage, address: usize, binding: Option<Binding>) -> Result<(), Killed> {
    stage.others()?;
    stage.world.borrow_mut().shortcuts[address] = None;
    stage.others()?;
    stage.world.borrow_mut().bindings[address] = binding;
    stage.others()?;
    let settled = binding.filter(|binding| binding.phase == PHASE_SETTLED);
    stage.world.borrow_mut().shortcuts[address] = settled.map(|binding| binding.site);
    stage.others()
}
