//! The flow table and the handovers in it. Whatever changes a binding goes through here.

use std::collections::HashMap;

use aya::maps::MapError;
use switch_ebpf::abi::{
    Binding, BindingKey, FlowTraffic, LEFT_UNKNOWN, MissHeader, PHASE_HANDOVER, PHASE_NEWCOMER,
    PHASE_SETTLED, agent,
};

use super::{
    handover::{Begin, Datapath, Handovers, ReadTo, Write},
    renewal::{Renewal, Work},
    slots::{Owner, Slots},
};
use crate::datapath::{Place, Tables};

/// The bindings, each with a slot for its counters and, while it is new, a handover.
pub struct FlowTable {
    /// The maps.
    pub tables: Tables,
    slots: Slots,
    handovers: Handovers,
    /// The shortcuts of those who are gone.
    renewal: Renewal<Place>,
    /// Site id → how many bindings are there.
    counts: HashMap<u32, u32>,
    /// When they were counted, `CLOCK_MONOTONIC` in nanoseconds.
    opened_ns: u64,
}

impl Datapath for Tables {
    type Error = MapError;

    fn runs(&self) -> Result<Vec<u64>, MapError> {
        Self::runs(self)
    }

    fn queued(&self, slot: u32, phase: u8) -> Result<u64, MapError> {
        Ok(Self::queued(self, slot)?.in_phase(phase))
    }
}

impl FlowTable {
    /// The table as it is in the maps, and the bindings in it.
    pub fn open(
        tables: Tables,
        now_ns: u64,
    ) -> Result<(Self, Vec<(BindingKey, Binding)>), MapError> {
        let bindings: Vec<_> = tables.bindings().collect::<Result<_, _>>()?;
        let owners = bindings.iter().map(|(key, binding)| {
            let (key, mac) = (*key, binding.mac);
            (binding.slot, Owner { key, mac })
        });
        let mut table = Self {
            slots: Slots::new(tables.max_flows()?, owners),
            tables,
            handovers: Handovers::default(),
            renewal: Renewal::default(),
            counts: HashMap::new(),
            opened_ns: now_ns,
        };
        for (_, binding) in &bindings {
            table.came(binding.site);
        }
        let nobodys = table.tables.adopt_shortcuts(&bindings)?;
        table.renewal.add(nobodys);
        Ok((table, bindings))
    }

    /// Where an address is.
    pub fn get(&self, key: &BindingKey) -> Result<Option<Binding>, MapError> {
        self.tables.binding(key)
    }

    /// Writes the binding that `made` makes of its slot, whose frames are on their way through the
    /// agent, on evidence of this time. Nothing where the table is full.
    pub fn create(
        &mut self,
        key: &BindingKey,
        evidence_ns: u64,
        made: impl FnOnce(u32) -> Binding,
    ) -> Result<Option<Binding>, MapError> {
        let (key, mac) = (*key, [0; 6]);
        let Some(slot) = self.slots.take(Owner { key, mac }) else {
            return Ok(None);
        };
        let binding = made(slot);
        self.tables.reset_slot(slot)?;
        self.tables.add_agent(agent::CREATED, 1)?;
        let newcomer = Binding {
            phase: PHASE_NEWCOMER,
            ..binding
        };
        self.hand_over(&key, newcomer, evidence_ns)?;
        self.came(binding.site);
        Ok(Some(binding))
    }

    /// Writes a binding that has moved, on evidence of this time.
    pub fn relocate(
        &mut self,
        key: &BindingKey,
        binding: Binding,
        evidence_ns: u64,
    ) -> Result<(), MapError> {
        self.tables.add_agent(agent::MOVES, 1)?;
        self.hand_over(key, binding, evidence_ns)?;
        self.went(binding.previous_site);
        self.came(binding.site);
        Ok(())
    }

    /// The datapath has moved a binding from a site. It may have been there when this was opened.
    pub fn moved_by_datapath(
        &mut self,
        header: &MissHeader,
        key: &BindingKey,
        from: u32,
        mac: [u8; 6],
    ) {
        self.slots.set(header.slot, Owner { key: *key, mac });
        if header.time_ns > self.opened_ns {
            self.went(from);
            self.came(header.site);
        }
    }

    /// Writes a binding whose site has not changed.
    pub fn replace(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), MapError> {
        // The datapath may have been about to replace what was read; this is not that binding.
        let left = if Binding::is_claimed(binding.left) {
            LEFT_UNKNOWN
        } else {
            binding.left
        };
        self.tables.set_binding(key, &Binding { left, ..*binding })
    }

    /// Has the frames of a binding take the way through the agent until that is empty. As long as
    /// one is a newcomer it stays that, for its frames are where theirs are.
    pub fn hand_over(
        &mut self,
        key: &BindingKey,
        binding: Binding,
        evidence_ns: u64,
    ) -> Result<(), MapError> {
        let phase = match binding.phase {
            PHASE_NEWCOMER => PHASE_NEWCOMER,
            _ => PHASE_HANDOVER,
        };
        let held = Binding {
            phase,
            left: LEFT_UNKNOWN,
            ..binding
        };
        self.tables.set_binding(key, &held)?;
        let (owner, mac) = (*key, binding.mac);
        self.slots.set(binding.slot, Owner { key: owner, mac });
        let queued = self.tables.queued(binding.slot)?.in_phase(phase);
        let begin = Begin {
            key: *key,
            phase,
            queued,
            evidence_ns,
        };
        self.handovers.begin(binding.slot, begin);
        Ok(())
    }

    /// Removes a binding.
    pub fn remove(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), MapError> {
        let place = self.tables.remove_binding(key)?;
        self.renewal.add(place);
        self.went(binding.site);
        self.handovers.abandon(binding.slot);
        self.slots.give_back(binding.slot);
        Ok(())
    }

    fn came(&mut self, site: u32) {
        *self.counts.entry(site).or_default() += 1;
    }

    fn went(&mut self, site: u32) {
        if let Some(count) = self.counts.get_mut(&site) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether there is room for one more binding.
    pub fn has_room(&self) -> bool {
        self.slots.has_room()
    }

    /// How many bindings a site has.
    pub fn count_at(&self, site: u32) -> u32 {
        self.counts.get(&site).copied().unwrap_or(0)
    }

    /// A frame that was numbered in the ring of a phase has left the agent.
    pub fn left(&mut self, phase: u8, slot: u32, number: u64) {
        self.handovers.left(phase, slot, number);
    }

    /// When the evidence came in that a binding stands on, as far as that is known, or later. What
    /// came in before may be read after it, for there are two rings.
    pub fn evidence_ns(&self, binding: &Binding) -> u64 {
        self.handovers
            .evidence_ns(binding.slot)
            .unwrap_or(binding.created_at_ns.max(binding.moved_at_ns))
    }

    /// Whether any binding is in a handover.
    pub fn is_handing_over(&self) -> bool {
        !self.handovers.is_empty()
    }

    /// Takes the handovers as far as they can go: see [`Handovers::advance`]. Whether any went on.
    pub fn advance(&mut self, now_ns: u64, read_to: ReadTo) -> Result<bool, MapError> {
        let writes = self.handovers.advance(&self.tables, now_ns, read_to)?;
        for write in &writes {
            let (key, phase, left) = match *write {
                Write::Publish { key, phase, left } => (key, phase, left),
                Write::Settle(key) => (key, PHASE_SETTLED, 0),
            };
            if let Some(binding) = self.tables.binding(&key)? {
                let binding = Binding {
                    phase,
                    left,
                    ..binding
                };
                self.tables.set_binding(&key, &binding)?;
            }
        }
        self.renew_shortcuts()?;
        Ok(!writes.is_empty())
    }

    /// Goes on with the shortcuts of those who are gone.
    fn renew_shortcuts(&mut self) -> Result<(), MapError> {
        if self.renewal.is_empty() {
            return Ok(());
        }
        let Work { empty, free } = self.renewal.turn(&self.tables.runs()?.into());
        for place in empty {
            self.tables.empty_shortcut(place)?;
        }
        for place in free {
            self.tables.free_shortcut(place)?;
        }
        Ok(())
    }

    /// The MAC of a slot's binding, as the agent knows it: zero if nobody was heard.
    pub fn mac_of(&self, slot: u32) -> [u8; 6] {
        self.slots.owner(slot).map_or([0; 6], |owner| owner.mac)
    }

    /// The binding that has a slot.
    pub fn at(&self, slot: u32) -> Result<Option<(BindingKey, Binding)>, MapError> {
        let Some(Owner { key, .. }) = self.slots.owner(slot) else {
            return Ok(None);
        };
        let binding = self.get(&key)?;
        Ok(binding.map(|binding| (key, binding)))
    }

    /// How many slots there are.
    pub fn slots(&self) -> u32 {
        self.slots.limit()
    }

    /// The addresses bound for a MAC.
    pub fn of_mac(&self, mac: [u8; 6]) -> Vec<BindingKey> {
        self.slots.of_mac(mac)
    }

    /// When the last frame of a binding's VM came in, but for late ones; nothing if none did.
    pub fn last_seen_ns(&self, slot: u32) -> Result<Option<u64>, MapError> {
        let Some(Owner { key, .. }) = self.slots.owner(slot) else {
            return Ok(None);
        };
        let FlowTraffic { down_last_ns, .. } = self.tables.flow_traffic(&key, slot)?;
        Ok((down_last_ns != 0).then_some(down_last_ns))
    }
}
