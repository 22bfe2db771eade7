//! The learner's loop: reads the rings, sends what the agent gives back, takes orders.

use std::sync::Arc;

use nix::poll::PollTimeout;
use switch_ebpf::{
    abi::{
        KIND_ANSWER, KIND_FLOOD, KIND_HELD, KIND_LEARNING, KIND_MOVED, KIND_QUEUED,
        KIND_QUEUED_LATE, KIND_RARP, MissHeader, PHASE_HANDOVER, PHASE_NEWCOMER,
    },
    frame::Frame,
    rule::Policy,
};

use super::{
    LearnError, Mail, Record, Trust, confirm::Questions, flow_table::FlowTable, heard::Heard,
    idle::Idle, inflow::Inflow, outbox::Outbox, policy, quarantine::Quarantines,
    refusals::Refusals,
};
use crate::{
    api::{Event, EventKind, Evidence},
    config::{Config, Confirm, MoveTogether, OnConflict},
    datapath::{Rings, Tables, Topology},
    types::NetworkName,
    worker::{self, Inbox},
};

/// How often the agent says that it lives. The datapath waits four times as long.
const HEARTBEAT_NS: u64 = 250_000_000;
/// Misses read before something else gets its turn.
const MISSES_A_TURN: usize = 256;
/// Newcomers, of whom each may have to be bound.
const NEWCOMERS_A_TURN: usize = 32;
/// Turns without anything to do, while a handover is under way, before the loop may sleep.
const EAGER_TURNS: u32 = 64;

/// The controller.
pub struct Learner {
    pub(super) topology: Topology,
    pub(super) flows: FlowTable,
    pub(super) network: NetworkName,
    pub(super) policy: Policy,
    pub(super) refusals: Refusals,
    pub(super) outbox: Outbox,
    pub(super) idle: Option<Idle>,
    pub(super) quarantines: Quarantines,
    pub(super) heard: Heard,
    pub(super) questions: Questions,
    pub(super) confirm: Confirm,
    pub(super) on_conflict: OnConflict,
    pub(super) max_flows_per_site: Option<u32>,
    pub(super) trust: Trust,
    pub(super) move_together: MoveTogether,
    pub(super) pass_learning_packets: bool,
    record: Arc<Record>,
    /// What has happened since the record was told last. No frame waits for that.
    untold: Vec<Event>,
    inflow: Inflow,
    /// Numbered frames that were read, sent or not: phase of the ring, slot and number.
    leaving: Vec<(u8, u32, u64)>,
}

impl Learner {
    /// Takes over the bindings that are there, and binds the configuration's static addresses.
    pub fn new(
        config: &Config,
        trust: Trust,
        topology: Topology,
        tables: Tables,
        rings: Rings,
        record: Arc<Record>,
    ) -> Result<Self, LearnError> {
        let (flows, bindings) = FlowTable::open(tables, now_ns()?)?;
        let mut learner = Self {
            outbox: Outbox::new(&topology.ports)?,
            network: config.network.clone(),
            policy: policy(config),
            refusals: Refusals::default(),
            idle: config.idle_timeout.map(Idle::new),
            quarantines: Quarantines::default(),
            heard: Heard::default(),
            questions: Questions::default(),
            confirm: config.confirm,
            on_conflict: config.on_conflict,
            max_flows_per_site: config.max_flows_per_site,
            trust,
            move_together: config.move_together,
            pass_learning_packets: config.pass_learning_packets,
            topology,
            flows,
            record,
            untold: Vec::new(),
            inflow: rings.into(),
            leaving: Vec::new(),
        };
        learner.beat()?;
        for (key, binding) in bindings {
            learner.adopt(&key, &binding)?;
        }
        for (address, site) in &config.statics {
            learner.bind_static(*address, site)?;
        }
        learner.report();
        Ok(learner)
    }

    /// Works until it is stopped and finds nothing in the rings. What was read of them has left by then.
    pub(super) fn run(&mut self, inbox: &Inbox<Mail>) -> Result<(), LearnError> {
        let mut next_beat_ns = 0;
        let mut idle_turns = 0;
        loop {
            let eager = self.flows.is_handing_over();
            let timeout = match (eager, idle_turns < EAGER_TURNS) {
                (true, true) => PollTimeout::ZERO,
                (true, false) => PollTimeout::from(1_u8),
                (false, _) => PollTimeout::from(100_u8),
            };
            let readable = self.inflow.wait(inbox, timeout, &mut self.flows.tables)?;
            // Now, and not before the wait, in which a busy machine may have kept us long: behind an
            // agent that seems dead, no frame queues up in a handover that is about to begin.
            let woken_ns = now_ns()?;
            if woken_ns >= next_beat_ns {
                self.beat()?;
                next_beat_ns = woken_ns + HEARTBEAT_NS;
            }
            if readable {
                self.read()?;
            }
            self.ask(woken_ns);
            self.flush()?;
            let went_on = self.flows.advance(now_ns()?, self.inflow.read_to())?;
            idle_turns = if readable || went_on {
                0
            } else {
                idle_turns + 1
            };
            while let Some(mail) = inbox.letter() {
                self.answer(mail);
            }
            self.forget_idle(woken_ns)?;
            self.end_quarantines(woken_ns)?;
            self.report();
            if inbox.is_stopped() && !readable {
                return Ok(());
            }
        }
    }

    /// Does what is asked. An operator who has gone does not want the answer.
    fn answer(&mut self, mail: Mail) {
        match mail {
            Mail::Order(order, reply) => {
                let done = self.obey(order);
                // Before the answer: who asks for the events next is to find it there.
                self.report();
                drop(reply.send(done));
            }
            Mail::Explain(address, reply) => {
                let explanation = self.explain(address).map_err(|error| error.to_string());
                drop(reply.send(explanation));
            }
        }
    }

    fn beat(&mut self) -> Result<(), LearnError> {
        Ok(self.flows.tables.set_heartbeat(now_ns()?)?)
    }

    /// Reads records, each ring to its end or to that of its turn.
    fn read(&mut self) -> Result<(), LearnError> {
        let mut record = Vec::new();
        let mut misses_left = self.read_misses(MISSES_A_TURN, &mut record)?;
        // Before the newcomers, which can wait.
        self.flush()?;
        for _ in 0..NEWCOMERS_A_TURN {
            misses_left = self.read_misses(misses_left, &mut record)?;
            if !self.inflow.next_newcomer(&mut record) {
                break;
            }
            self.work_on(PHASE_NEWCOMER, &record)?;
        }
        Ok(())
    }

    /// Reads so many misses at most, and says how many more that would have been.
    fn read_misses(&mut self, most: usize, record: &mut Vec<u8>) -> Result<usize, LearnError> {
        for read in 0..most {
            if !self.inflow.next_miss(record) {
                return Ok(most - read);
            }
            self.work_on(PHASE_HANDOVER, record)?;
        }
        Ok(0)
    }

    /// Works on a record of the ring of a phase.
    fn work_on(&mut self, phase: u8, record: &[u8]) -> Result<(), LearnError> {
        let Some((header, frame)) = MissHeader::split(record) else {
            return Ok(());
        };
        // Whatever becomes of it: after the next flush it is not on its way any more.
        let queued = header.queued();
        self.leaving
            .extend(queued.map(|(slot, number)| (phase, slot, number)));
        self.handle(&header, frame)
    }

    fn handle(&mut self, header: &MissHeader, bytes: &[u8]) -> Result<(), LearnError> {
        // The datapath has read it before, or it would not be here.
        let Ok(frame) = Frame::read(bytes) else {
            return Ok(());
        };
        match header.kind {
            KIND_QUEUED | KIND_QUEUED_LATE => {
                // Late frames are counted for no binding, whichever way they leave.
                let slot = (header.kind == KIND_QUEUED).then_some(header.slot);
                self.deliver(header, bytes, &frame, slot);
                Ok(())
            }
            KIND_FLOOD => {
                let own_tag = header.own_tag != 0;
                for site in &self.topology.sites {
                    self.outbox.push(bytes, &frame, own_tag, &site.leg, None);
                }
                Ok(())
            }
            KIND_MOVED | KIND_HELD => self.take_over(header, bytes, &frame),
            KIND_RARP => self.rarp(header, bytes, &frame),
            KIND_ANSWER => self.answered(header, bytes, &frame),
            KIND_LEARNING => self.learning_packet(header, bytes, &frame),
            _ => self.decide(header, bytes, &frame),
        }
    }

    /// Puts a frame from a site in line for the client. `slot` is its binding's.
    pub(super) fn deliver(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
        slot: Option<u32>,
    ) {
        let own_tag = header.own_tag != 0;
        let flow = slot.map(|slot| (slot, header.time_ns));
        self.outbox
            .push(bytes, frame, own_tag, &self.topology.client, flow);
    }

    /// Sends what waits. Numbered frames have then left.
    fn flush(&mut self) -> Result<(), LearnError> {
        for error in self.outbox.flush(&mut self.flows.tables)? {
            tracing::warn!(%error, "frames were lost");
        }
        for (phase, slot, number) in self.leaving.drain(..) {
            self.flows.left(phase, slot, number);
        }
        self.report();
        Ok(())
    }

    /// Tells the record what has happened.
    fn report(&mut self) {
        for event in self.untold.drain(..) {
            self.record.event(event);
        }
    }

    /// Notes an event for the record: what every event has, and what `rest` adds.
    pub(super) fn tell(
        &mut self,
        kind: EventKind,
        address: switch_ebpf::frame::Address,
        evidence: Option<Evidence>,
        sites: (Option<u32>, Option<u32>),
        rest: impl FnOnce(&mut Event),
    ) {
        let name = |id| Some(self.topology.site_by_id(id)?.site.name.clone());
        let mut event = Event {
            from: sites.0.and_then(name),
            to: sites.1.and_then(name),
            evidence,
            ..Event::now(kind, self.network.clone(), address.into())
        };
        rest(&mut event);
        self.untold.push(event);
    }
}

/// The clock of `bpf_ktime_get_ns`.
pub(super) fn now_ns() -> Result<u64, LearnError> {
    worker::now_ns().map_err(|source| LearnError::System {
        what: "read the clock",
        source,
    })
}
