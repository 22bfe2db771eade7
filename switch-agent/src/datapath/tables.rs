//! The maps, typed. Opened from their pins, so that a command works while no agent runs.

use std::sync::atomic::{Ordering, fence};

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf};
use switch_ebpf::abi::{
    self, Binding, BindingKey, Counter, Cpu, Drop, FlowTraffic, Forwarded, Gateway, LAYOUT_VERSION,
    Label, Leg, Limited, Meta, Network, PHASE_SETTLED, Port, Queued, SourceKey, Traffic, names,
};

use super::{
    DatapathError, Pins,
    allowed::Allowed,
    attachments::Attachments,
    batch,
    flow_counters::FlowCounters,
    mapped::Mapped,
    shortcuts::{Place, Shortcuts},
    tally::Tally,
};

/// An instance's maps.
pub struct Tables {
    pub(super) ports: HashMap<MapData, u32, Port>,
    pub(super) attachments: Attachments,
    pub(super) sites: Array<MapData, Leg>,
    pub(super) networks: Array<MapData, Network>,
    pub(super) site_names: Array<MapData, Label>,
    pub(super) network_names: Array<MapData, Label>,
    pub(super) port_names: Array<MapData, Label>,
    pub(super) meta: Array<MapData, Meta>,
    bindings: HashMap<MapData, BindingKey, Binding>,
    shortcuts: Shortcuts,
    flow_traffic: FlowCounters,
    queued: Mapped<Queued>,
    pub(super) allowed: Allowed,
    refused: HashMap<MapData, SourceKey, u64>,
    limited: PerCpuArray<MapData, u64>,
    cpu: PerCpuArray<MapData, Cpu>,
    gateways: HashMap<MapData, u32, Gateway>,
    heartbeat: Array<MapData, u64>,
    asleep: Mapped<u64>,
    tally: Tally,
}

macro_rules! open {
    ($pins:expr, $name:expr, $kind:ident) => {
        open!($pins, $name, $kind => $kind)
    };
    ($pins:expr, $name:expr, $variant:ident => $kind:ident) => {{
        let error = |source| DatapathError::Open { map: $name, source };
        let data = aya::maps::MapData::from_pin($pins.map($name)).map_err(error)?;
        $kind::try_from(aya::maps::Map::$variant(data)).map_err(error)?
    }};
}
pub(crate) use open;

/// The same for an array in this process's memory.
macro_rules! open_mapped {
    ($pins:expr, $name:expr) => {
        aya::maps::MapData::from_pin($pins.map($name))
            .and_then(|map| $crate::datapath::mapped::Mapped::open(&map))
            .map_err(|source| DatapathError::Open { map: $name, source })?
    };
}
pub(crate) use open_mapped;

impl Tables {
    /// Opens what an instance has pinned.
    ///
    /// # Errors
    /// Nothing is pinned, or maps of another layout.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        check_layout(pins, LAYOUT_VERSION)?;
        Ok(Self {
            ports: open!(pins, names::PORTS, HashMap),
            attachments: Attachments::open(pins)?,
            sites: open!(pins, names::SITES, Array),
            networks: open!(pins, names::NETWORKS, Array),
            site_names: open!(pins, names::SITE_NAMES, Array),
            network_names: open!(pins, names::NETWORK_NAMES, Array),
            port_names: open!(pins, names::PORT_NAMES, Array),
            meta: open!(pins, names::META, Array),
            bindings: open!(pins, names::BINDINGS, HashMap),
            shortcuts: Shortcuts::open(pins)?,
            flow_traffic: FlowCounters::open(pins)?,
            queued: open_mapped!(pins, names::QUEUED),
            allowed: Allowed::open(pins)?,
            refused: open!(pins, names::REFUSED, LruHashMap => HashMap),
            limited: open!(pins, names::LIMITED, PerCpuArray),
            cpu: open!(pins, names::CPU, PerCpuArray),
            gateways: open!(pins, names::GATEWAYS, HashMap),
            heartbeat: open!(pins, names::HEARTBEAT, Array),
            asleep: open_mapped!(pins, names::ASLEEP),
            tally: Tally::open(pins)?,
        })
    }

    /// How many bindings there is room for.
    pub fn max_flows(&self) -> Result<u32, MapError> {
        Ok(self.meta.get(&0, 0)?.max_flows)
    }

    /// Where an address is.
    pub fn binding(&self, key: &BindingKey) -> Result<Option<Binding>, MapError> {
        found(self.bindings.get(key, 0))
    }

    /// Every binding, in no order.
    pub fn bindings(&self) -> impl Iterator<Item = Result<(BindingKey, Binding), MapError>> {
        batch::elements(&self.bindings)
    }

    /// Puts a binding in place of the former one, at once for every CPU. If it is settled, the frames of
    /// its address may go by a shortcut from then on.
    pub fn set_binding(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), MapError> {
        self.shortcuts.close(key)?;
        self.bindings.insert(key, binding, 0)?;
        self.lead(key, binding)
    }

    /// Opens a shortcut to what the map holds, if that is settled.
    fn lead(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), MapError> {
        if binding.phase != PHASE_SETTLED || !self.shortcuts.lead(key, binding.site)? {
            return Ok(());
        }
        // A program may have moved it meanwhile. One that is about to closes the shortcut later.
        match self.binding(key)? {
            Some(Binding {
                site,
                phase: PHASE_SETTLED,
                ..
            }) if site == binding.site => Ok(()),
            _ => self.shortcuts.close(key),
        }
    }

    /// Opens the shortcut to a binding that a program has written, if it is settled.
    pub fn reopen_shortcut(&mut self, key: &BindingKey) -> Result<(), MapError> {
        match self.binding(key)? {
            Some(binding) => self.lead(key, &binding),
            None => Ok(()),
        }
    }

    /// Makes the shortcuts agree with these bindings, which are all there are. Returns those that are
    /// nobody's: see [`Tables::empty_shortcut`].
    pub fn adopt_shortcuts(
        &mut self,
        bindings: &[(BindingKey, Binding)],
    ) -> Result<Vec<Place>, MapError> {
        // One for each place, not a set: there may be two million.
        let mut owned = vec![false; self.shortcuts.len()];
        for (key, binding) in bindings {
            let mut found = self.shortcuts.of(key)?;
            let is_settled = binding.phase == PHASE_SETTLED;
            let agrees = is_settled && found.is_some_and(|found| found.leads_to(binding.site));
            if !agrees {
                self.shortcuts.close(key)?;
                self.lead(key, binding)?;
                found = self.shortcuts.of(key)?;
            }
            if let Some(found) = found {
                owned[found.place.index()] = true;
            }
        }
        let is_nobodys =
            |place: &Result<Place, _>| !matches!(place, Ok(place) if owned[place.index()]);
        let nobodys: Vec<_> = self
            .shortcuts
            .taken()
            .filter(is_nobodys)
            .collect::<Result<_, _>>()?;
        for place in &nobodys {
            self.shortcuts.set_leaving(*place)?;
        }
        Ok(nobodys)
    }

    /// Removes a binding. Its shortcut, if it had one, is nobody's then: see [`Tables::empty_shortcut`].
    pub fn remove_binding(&mut self, key: &BindingKey) -> Result<Option<Place>, MapError> {
        let place = self.shortcuts.leave(key)?;
        self.bindings.remove(key)?;
        Ok(place)
    }

    /// Empties a shortcut that was nobody's before any program began that runs now.
    pub fn empty_shortcut(&mut self, place: Place) -> Result<(), MapError> {
        self.shortcuts.empty(place)
    }

    /// Frees a shortcut that was emptied before any program began that runs now.
    pub fn free_shortcut(&mut self, place: Place) -> Result<(), MapError> {
        self.shortcuts.free(place)
    }

    /// Sets a slot's counters to zero, before a new binding gets it.
    pub fn reset_slot(&mut self, slot: u32) -> Result<(), MapError> {
        self.flow_traffic.reset(slot)
    }

    /// A binding's traffic, over all CPUs and the agent.
    pub fn flow_traffic(&self, key: &BindingKey, slot: u32) -> Result<FlowTraffic, MapError> {
        self.flow_traffic.sum(&self.shortcuts, key, slot)
    }

    /// How many frames have ever queued up under a slot.
    pub fn queued(&self, slot: u32) -> Result<Queued, MapError> {
        self.queued.get(slot)
    }

    /// For each CPU how often its program has begun or ended: odd while it runs.
    pub fn runs(&self) -> Result<Vec<u64>, MapError> {
        let cpus = self.cpu.get(&0, 0)?;
        Ok(cpus.iter().map(|cpu| cpu.runs).collect())
    }

    /// An attachment's traffic, over all CPUs and the agent.
    pub fn traffic(&self, index: u32) -> Result<Traffic, MapError> {
        self.tally.traffic(index)
    }

    /// Frames dropped for a reason.
    pub fn drops(&self, reason: Drop) -> Result<u64, MapError> {
        self.tally.drops(reason)
    }

    /// A counter of the datapath.
    pub fn counter(&self, counter: Counter) -> Result<u64, MapError> {
        self.tally.counter(counter as u32)
    }

    /// A counter of the agent, by its index in [`switch_ebpf::abi::agent`].
    pub fn agent(&self, index: u32) -> Result<u64, MapError> {
        self.tally.agent(index)
    }

    /// Adds to a counter of the agent. Only the learner writes them.
    pub fn add_agent(&mut self, index: u32, by: u64) -> Result<(), MapError> {
        self.tally.add_agent(index, by)
    }

    /// Adds frames that the agent sent for a binding.
    pub fn add_agent_flow(&mut self, slot: u32, sent: &FlowTraffic) -> Result<(), MapError> {
        self.flow_traffic.add(slot, sent)
    }

    /// Adds frames that the agent sent out of an attachment.
    pub fn add_agent_traffic(&mut self, index: u32, sent: Forwarded) -> Result<(), MapError> {
        self.tally.add_agent_traffic(index, sent)
    }

    /// Has the datapath drop what an address sends from a site, until a time.
    pub fn refuse(&mut self, source: &SourceKey, until_ns: u64) -> Result<(), MapError> {
        self.refused.insert(source, until_ns, 0)
    }

    /// Lets an address speak again at a site.
    pub fn pardon(&mut self, source: &SourceKey) -> Result<(), MapError> {
        if found(self.refused.get(source, 0))?.is_some() {
            self.refused.remove(source)?;
        }
        Ok(())
    }

    /// Frames of a site that a limit kept from the agent.
    pub fn limited(&self, site: u32, limit: Limited) -> Result<u64, MapError> {
        let index = abi::limited(site, limit);
        Ok(self.limited.get(&index, 0)?.iter().sum())
    }

    /// What is known of a gateway.
    pub fn gateway(&self, id: u32) -> Result<Option<Gateway>, MapError> {
        found(self.gateways.get(&id, 0))
    }

    /// How many gateways are known.
    pub fn gateways(&self) -> Result<usize, MapError> {
        self.gateways
            .keys()
            .try_fold(0, |count, key| key.map(|_| count + 1))
    }

    /// Keeps what is known of a gateway.
    pub fn set_gateway(&mut self, id: u32, gateway: &Gateway) -> Result<(), MapError> {
        self.gateways.insert(id, gateway, 0)
    }

    /// Says that the agent lives, for the datapath to hear.
    pub fn set_heartbeat(&mut self, now_ns: u64) -> Result<(), MapError> {
        self.heartbeat.set(0, now_ns, 0)
    }

    /// Says whether the agent sleeps. Before it does, it has to say so and then look at the rings once
    /// more; or whoever puts a record there may take it to be awake.
    pub fn set_asleep(&mut self, asleep: bool) -> Result<(), MapError> {
        self.asleep.change(0, |_| asleep.into())?;
        // Or the rings might be looked at first.
        fence(Ordering::SeqCst);
        Ok(())
    }
}

/// A lookup in which a missing key is an answer, not a failure.
pub(super) fn found<V>(result: Result<V, MapError>) -> Result<Option<V>, MapError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The rings from a switch's datapath to its agent.
pub struct Rings {
    /// [`names::MISSES`].
    pub misses: RingBuf<MapData>,
    /// [`names::NEWCOMERS`].
    pub newcomers: RingBuf<MapData>,
}

impl Rings {
    /// Opens those of an instance. One reader at a time: it moves the rings' read positions.
    ///
    /// # Errors
    /// They are not pinned.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self {
            misses: open!(pins, names::MISSES, RingBuf),
            newcomers: open!(pins, names::NEWCOMERS, RingBuf),
        })
    }
}

/// Refuses pins of another layout, before anything else of them is touched.
pub(crate) fn check_layout(pins: &Pins, layout: u32) -> Result<(), DatapathError> {
    read_meta(pins, layout).map(drop)
}

/// How many bindings the pinned maps have room for; nothing where there are no whole ones.
///
/// # Errors
/// They are of another layout.
pub fn pinned(pins: &Pins, layout: u32) -> Result<Option<u32>, DatapathError> {
    if !pins.map(names::META).exists() {
        return Ok(None);
    }
    match read_meta(pins, layout) {
        // Written last of all: the maps are not whole.
        Err(DatapathError::Layout { found: 0, .. }) => Ok(None),
        meta => Ok(Some(meta?.max_flows)),
    }
}

fn read_meta(pins: &Pins, layout: u32) -> Result<Meta, DatapathError> {
    let meta: Array<MapData, Meta> = open!(pins, names::META, Array);
    let meta = meta.get(&0, 0).map_err(|source| DatapathError::Open {
        map: names::META,
        source,
    })?;
    if meta.layout == layout {
        return Ok(meta);
    }
    let directory = pins.directory().to_owned();
    let (found, ours) = (kind(meta.layout), kind(layout));
    Err(if found == ours || meta.layout == 0 {
        DatapathError::Layout {
            directory,
            found: meta.layout,
            ours: layout,
        }
    } else {
        DatapathError::OtherKind {
            directory,
            found,
            ours,
        }
    })
}

/// Whose maps have this layout.
fn kind(layout: u32) -> &'static str {
    match layout >> 16 {
        0 => "a switch",
        _ => "a gateway",
    }
}
