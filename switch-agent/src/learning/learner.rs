//! The learner's loop.

use std::{
    collections::HashMap,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use aya::maps::{MapData, MapError, RingBuf};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::EventFd,
    time::{ClockId, clock_gettime},
};
use switch_ebpf::{
    abi::{
        Binding, BindingKey, KIND_FLOOD, KIND_QUEUED, LEFT_UNKNOWN, MissHeader, PHASE_HANDOVER,
        PHASE_SETTLED, STATE_STATIC, Traffic, agent, traffic,
    },
    frame::{Address, Evidence, Frame, Origin},
    rule::{self, Policy, Refusal, Verdict},
};

use super::{
    LearnError, Mail, Record,
    handover::{Datapath, Handovers, Write},
    outbox::Outbox,
    policy,
    slots::Slots,
};
use crate::{
    api::{self, Event, EventKind},
    config::Config,
    datapath::{Tables, Topology},
    types::{NetworkName, SiteName, VmAddress},
};

/// How often the agent says that it lives. The datapath waits four times as long.
const HEARTBEAT_NS: u64 = 250_000_000;
/// Records read before something else gets its turn.
const TURN: usize = 256;
/// Turns without anything to do, while a handover is under way, before the loop may sleep.
const EAGER_TURNS: u32 = 64;
/// The same refusal is an event again after this long; it is counted every time.
const REFUSAL_EVENT_NS: u64 = 10_000_000_000;
/// How many refusals are remembered for that.
const REFUSALS: usize = 4096;

/// The controller.
pub struct Learner {
    pub(super) topology: Topology,
    pub(super) tables: Tables,
    pub(super) slots: Slots,
    pub(super) record: Arc<Record>,
    pub(super) network: NetworkName,
    policy: Policy,
    misses: RingBuf<MapData>,
    outbox: Outbox,
    handovers: Handovers,
    /// Numbered frames in the outbox: slot and number.
    leaving: Vec<(u32, u64)>,
    refusals: HashMap<(Address, u32, Refusal), u64>,
}

impl Datapath for Tables {
    type Error = MapError;

    fn traffic(&self, index: u32) -> Result<Vec<Traffic>, MapError> {
        self.traffic_by_cpu(index)
    }

    fn queued(&self, slot: u32) -> Result<u64, MapError> {
        Self::queued(self, slot)
    }
}

impl Learner {
    /// Takes over the bindings that are there, and binds the configuration's static addresses.
    pub fn new(
        config: &Config,
        topology: Topology,
        tables: Tables,
        misses: RingBuf<MapData>,
        record: Arc<Record>,
    ) -> Result<Self, LearnError> {
        let bindings: Vec<_> = tables.bindings().collect::<Result<_, _>>()?;
        let slots = Slots::new(tables.max_flows()?, bindings.iter().map(|(_, b)| b.slot));
        let mut learner = Self {
            outbox: Outbox::new(&topology.ports)?,
            network: config.network.clone(),
            policy: policy(config),
            topology,
            tables,
            slots,
            record,
            misses,
            handovers: Handovers::default(),
            leaving: Vec::new(),
            refusals: HashMap::new(),
        };
        learner.beat()?;
        for (key, binding) in bindings {
            learner.adopt(&key, &binding)?;
        }
        for (address, site) in &config.statics {
            learner.pin(*address, site)?;
        }
        Ok(learner)
    }

    /// Works until it is stopped. What was read of the ring has left by then.
    pub(super) fn run(
        &mut self,
        mail: &mpsc::Receiver<Mail>,
        wake: &EventFd,
        stop: &AtomicBool,
    ) -> Result<(), LearnError> {
        let mut next_beat_ns = 0;
        let mut idle_turns = 0;
        loop {
            let before_ns = self.now_ns()?;
            if before_ns >= next_beat_ns {
                self.beat()?;
                next_beat_ns = before_ns + HEARTBEAT_NS;
            }
            let eager = !self.handovers.is_empty();
            let timeout = match (eager, idle_turns < EAGER_TURNS) {
                (true, true) => PollTimeout::ZERO,
                (true, false) => PollTimeout::from(1_u8),
                (false, _) => PollTimeout::from(100_u8),
            };
            let readable = wait(&self.misses, wake, timeout)?;
            // The kernel calls the ring readable as soon as a record has its place in it.
            let read_to_ns = if readable { self.read()? } else { before_ns };
            self.flush()?;
            let writes = self
                .handovers
                .advance(&self.tables, self.now_ns()?, read_to_ns)?;
            idle_turns = if readable || !writes.is_empty() {
                0
            } else {
                idle_turns + 1
            };
            for write in writes {
                self.write(write)?;
            }
            while let Ok((order, reply)) = mail.try_recv() {
                // An operator who has gone does not want the answer.
                let _ = reply.send(self.obey(order));
            }
            if stop.load(Ordering::Acquire) && !readable {
                return Ok(());
            }
        }
    }

    pub(super) fn now_ns(&self) -> Result<u64, LearnError> {
        // The clock of `bpf_ktime_get_ns`.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|source| LearnError::System {
            what: "read the clock",
            source,
        })?;
        let (seconds, nanoseconds) = (now.tv_sec().unsigned_abs(), now.tv_nsec().unsigned_abs());
        Ok(seconds * 1_000_000_000 + nanoseconds)
    }

    pub(super) fn site_name(&self, id: u32) -> Option<SiteName> {
        self.topology
            .site_by_id(id)
            .map(|entry| entry.site.name.clone())
    }

    fn beat(&mut self) -> Result<(), LearnError> {
        let now_ns = self.now_ns()?;
        Ok(self.tables.set_heartbeat(now_ns)?)
    }

    /// A binding of a former run: its site may be gone, its handover may not be over.
    fn adopt(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), LearnError> {
        if self.topology.site_by_id(binding.site).is_none() {
            self.forget(key, binding)?;
            self.note(
                EventKind::Removed,
                key,
                None,
                None,
                Some("its site is gone"),
            );
        } else if binding.phase != PHASE_SETTLED {
            self.hand_over(key, *binding)?;
        }
        Ok(())
    }

    /// A static binding of the configuration.
    fn pin(&mut self, address: VmAddress, site: &SiteName) -> Result<(), LearnError> {
        let Some(site) = self.topology.site(site).map(|entry| entry.id) else {
            return Ok(());
        };
        let key = BindingKey {
            network: self.topology.network,
            address: Address::from(address.get()),
        };
        match self.tables.binding(&key)? {
            Some(binding) if binding.site == site => {
                let pinned = Binding {
                    state: STATE_STATIC,
                    ..binding
                };
                self.tables.set_binding(&key, &pinned)?;
            }
            Some(binding) => {
                let moved = rule::moved_by_operator(&binding, site, self.now_ns()?);
                self.relocate(
                    &key,
                    Binding {
                        state: STATE_STATIC,
                        ..moved
                    },
                )?;
                self.note(EventKind::Moved, &key, Some(binding.site), Some(site), None);
            }
            None => {
                let Some(slot) = self.slots.take() else {
                    tracing::warn!(%address, "the flow table is full: the static address is not bound");
                    return Ok(());
                };
                let created = rule::created(site, slot, self.now_ns()?, [0; 6]);
                self.create(
                    &key,
                    Binding {
                        state: STATE_STATIC,
                        ..created
                    },
                )?;
                self.note(EventKind::Created, &key, None, Some(site), None);
            }
        }
        Ok(())
    }

    /// Reads records, to the end of the ring or of its turn. Returns the time up to which the ring
    /// has been read.
    fn read(&mut self) -> Result<u64, LearnError> {
        let mut read_to_ns = 0;
        // Copied out, so that the ring has room again before the frame is worked on.
        let mut record = Vec::new();
        for _ in 0..TURN {
            let Some(item) = self.misses.next() else {
                break;
            };
            record.clear();
            record.extend_from_slice(&item);
            drop(item);
            if let Some((header, frame)) = MissHeader::split(&record) {
                read_to_ns = read_to_ns.max(header.time_ns);
                self.handle(&header, frame)?;
            }
        }
        Ok(read_to_ns)
    }

    fn handle(&mut self, header: &MissHeader, bytes: &[u8]) -> Result<(), LearnError> {
        let Ok(frame) = Frame::read(bytes) else {
            return Ok(());
        };
        let own_tag = header.own_tag != 0;
        match header.kind {
            KIND_QUEUED => {
                self.outbox.push(
                    bytes,
                    &frame,
                    own_tag,
                    &self.topology.client,
                    Some(header.slot),
                );
                self.leaving.push((header.slot, header.number));
            }
            KIND_FLOOD => {
                for site in &self.topology.sites {
                    self.outbox.push(bytes, &frame, own_tag, &site.leg, None);
                }
            }
            _ => {
                let packet = frame.packet(bytes, bytes.len());
                if let Ok(packet) = packet
                    && let Ok(Origin::Vm(address, evidence)) = frame.origin(&packet)
                {
                    self.decide(header, bytes, &frame, address, evidence)?;
                }
            }
        }
        Ok(())
    }

    /// Applies the learning rule to a frame that the datapath could not decide on.
    fn decide(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
        address: Address,
        evidence: Evidence,
    ) -> Result<(), LearnError> {
        let key = BindingKey {
            network: header.network,
            address,
        };
        let binding = self.tables.binding(&key)?;
        let site = header.site;
        let authorised = match (
            VmAddress::try_from(std::net::IpAddr::from(address)),
            self.topology.site_by_id(site),
        ) {
            (Ok(address), Some(entry)) => entry.site.allows(address),
            _ => false,
        };
        let now_ns = self.now_ns()?;
        let verdict = rule::judge(
            binding.as_ref(),
            site,
            evidence,
            authorised,
            &self.policy,
            now_ns,
        );
        let slot = match (verdict, binding) {
            (Verdict::Create, _) => {
                let Some(slot) = self.slots.take() else {
                    return self.refuse(&key, site, evidence, Refusal::TableFull, now_ns);
                };
                self.create(&key, rule::created(site, slot, now_ns, frame.source))?;
                self.learned(EventKind::Created, &key, None, site, evidence, header)?;
                Some(slot)
            }
            (Verdict::Move, Some(before)) => {
                let after = rule::moved(&before, site, &self.policy, now_ns, frame.source);
                self.relocate(&key, after)?;
                self.learned(
                    EventKind::Moved,
                    &key,
                    Some(before.site),
                    site,
                    evidence,
                    header,
                )?;
                Some(before.slot)
            }
            (Verdict::Refresh, Some(binding)) => Some(binding.slot),
            (Verdict::Late, _) => {
                self.tables.add_agent(agent::LATE, 1)?;
                None
            }
            (Verdict::Quarantine, Some(binding)) => {
                self.tables
                    .set_binding(&key, &rule::quarantined(&binding))?;
                let moves = binding.window_moves + 1;
                let reason = format!("move {moves} within the window");
                self.event(
                    EventKind::Quarantined,
                    &key,
                    Some(binding.site),
                    site,
                    evidence,
                    Some(reason),
                    None,
                );
                return self.refuse(&key, site, evidence, Refusal::Quarantined, now_ns);
            }
            (Verdict::Refuse(why), _) => return self.refuse(&key, site, evidence, why, now_ns),
            (Verdict::Move | Verdict::Refresh | Verdict::Quarantine, None) => None,
        };
        self.outbox.push(
            bytes,
            frame,
            header.own_tag != 0,
            &self.topology.client,
            slot,
        );
        Ok(())
    }

    /// Writes a new binding, whose frames are on their way through the agent.
    pub(super) fn create(&mut self, key: &BindingKey, binding: Binding) -> Result<(), LearnError> {
        self.tables.reset_slot(binding.slot)?;
        self.tables.add_agent(agent::CREATED, 1)?;
        self.hand_over(key, binding)
    }

    /// Writes a binding that has moved.
    pub(super) fn relocate(
        &mut self,
        key: &BindingKey,
        binding: Binding,
    ) -> Result<(), LearnError> {
        self.tables.add_agent(agent::MOVES, 1)?;
        self.hand_over(key, binding)
    }

    fn hand_over(&mut self, key: &BindingKey, binding: Binding) -> Result<(), LearnError> {
        let held = Binding {
            phase: PHASE_HANDOVER,
            left: LEFT_UNKNOWN,
            ..binding
        };
        self.tables.set_binding(key, &held)?;
        let queued = self.tables.queued(binding.slot)?;
        self.handovers
            .begin(binding.slot, *key, traffic::site(binding.site), queued);
        Ok(())
    }

    /// Removes a binding.
    pub(super) fn forget(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), LearnError> {
        self.tables.remove_binding(key)?;
        self.handovers.abandon(binding.slot);
        self.slots.give_back(binding.slot);
        Ok(())
    }

    /// Sends what waits. Numbered frames have then left.
    fn flush(&mut self) -> Result<(), LearnError> {
        for error in self.outbox.flush(&mut self.tables)? {
            tracing::warn!(%error, "frames were lost");
        }
        for (slot, number) in self.leaving.drain(..) {
            self.handovers.left(slot, number);
        }
        Ok(())
    }

    fn write(&mut self, write: Write) -> Result<(), LearnError> {
        let (key, phase, left) = match write {
            Write::Publish(key, left) => (key, PHASE_HANDOVER, left),
            Write::Settle(key) => (key, PHASE_SETTLED, 0),
        };
        if let Some(binding) = self.tables.binding(&key)? {
            self.tables.set_binding(
                &key,
                &Binding {
                    phase,
                    left,
                    ..binding
                },
            )?;
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        key: &BindingKey,
        site: u32,
        evidence: Evidence,
        why: Refusal,
        now_ns: u64,
    ) -> Result<(), LearnError> {
        self.tables.add_agent(agent::REFUSED + why as u32, 1)?;
        if self.refusals.len() >= REFUSALS {
            self.refusals.clear();
        }
        let last = self.refusals.insert((key.address, site, why), now_ns);
        if last.is_none_or(|last| now_ns.saturating_sub(last) >= REFUSAL_EVENT_NS) {
            let reason = Some(why.name().to_owned());
            self.event(EventKind::Refused, key, None, site, evidence, reason, None);
        } else if let Some(last) = last {
            self.refusals.insert((key.address, site, why), last);
        }
        Ok(())
    }

    fn learned(
        &mut self,
        kind: EventKind,
        key: &BindingKey,
        from: Option<u32>,
        to: u32,
        evidence: Evidence,
        header: &MissHeader,
    ) -> Result<(), LearnError> {
        let learn_us = self.now_ns()?.saturating_sub(header.time_ns) / 1000;
        self.event(kind, key, from, to, evidence, None, Some(learn_us));
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of an event, each of its own type"
    )]
    fn event(
        &self,
        kind: EventKind,
        key: &BindingKey,
        from: Option<u32>,
        to: u32,
        evidence: Evidence,
        reason: Option<String>,
        learn_us: Option<u64>,
    ) {
        self.record.event(Event {
            from: from.and_then(|site| self.site_name(site)),
            to: self.site_name(to),
            evidence: Some(match evidence {
                Evidence::Data => api::Evidence::Data,
                Evidence::Announce => api::Evidence::Announce,
            }),
            reason,
            learn_us,
            ..Event::now(kind, self.network.clone(), key.address.into())
        });
    }
}

/// Waits for the ring or for mail. Whether the ring has anything in it, finished or not.
fn wait(
    misses: &RingBuf<MapData>,
    wake: &EventFd,
    timeout: PollTimeout,
) -> Result<bool, LearnError> {
    let mut fds = [
        PollFd::new(misses.as_fd(), PollFlags::POLLIN),
        PollFd::new(wake.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut fds, timeout) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(source) => {
            return Err(LearnError::System {
                what: "wait for misses",
                source,
            });
        }
    }
    let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
    let readable = ready(&fds[0]);
    if ready(&fds[1]) {
        // Its count does not matter, and an empty one is no failure.
        let _ = wake.read();
    }
    Ok(readable)
}
