//! A switch from start to end: ports made ready, datapath loaded and attached, learner running.

#[cfg(test)]
mod tests;

use std::{sync::Arc, thread, time::Duration};

use aya_log::EbpfLogger;
use futures::future::BoxFuture;
use thiserror::Error;

use crate::{
    api::{AnyStats, Explanation, Flow, Order},
    config::Config,
    control::{Backend, Journal},
    datapath::{
        DatapathError, Kernel, Names, Pins, PortEntry, Programs, Rings, SWITCH, Tables, Topology,
    },
    instance::{self, InstanceError, check_host, check_ports},
    learning::{self, Handle, LearnError, Record, Trust},
    learning_key::{Key, KeyError},
    ports::{Changes, Port, PortRole},
    report,
    state::{State, StateFile},
    types::{InstanceName, PortName, Tpid, VmAddress},
    worker,
};

/// Why a switch does not start, or does not end as it should.
#[derive(Debug, Error)]
pub enum SwitchError {
    /// The host, or the ports.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The datapath.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The key of the learning packets.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The learner.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// The learner's thread.
type Thread = thread::JoinHandle<Result<(), LearnError>>;

/// The parts of a switch that its start puts together.
type Parts = (Vec<Changes>, Vec<PortEntry>, Handle, Thread, Arc<Record>);

/// A switch that runs.
pub struct Switch {
    pins: Pins,
    state: StateFile,
    changes: Vec<Changes>,
    learner: Handle,
    thread: Thread,
    record: Arc<Record>,
    /// The ports, as they were at the start.
    pub ports: Vec<PortEntry>,
    /// How many sites it has.
    pub sites: usize,
    /// The rare words of the datapath. Nobody may hear them: that stops nothing.
    pub words: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Keeps the programs' descriptors, and with them the words' ring.
    _programs: Programs,
}

/// What is asked of each port, in the order in which the ports are named first.
pub fn wanted_ports(config: &Config) -> Vec<(PortName, Port)> {
    let mut names = vec![&config.client.port];
    for site in &config.sites {
        if !names.contains(&&site.port) {
            names.push(&site.port);
        }
    }
    let role = |name: &PortName| {
        let mut sites = config
            .sites
            .iter()
            .filter(|site| site.port == *name)
            .peekable();
        if sites.peek().is_none() {
            return PortRole::Client;
        }
        let service_tag = sites.any(|site| site.tpid != Tpid::default());
        PortRole::Trunk {
            clients: vec![config.client.port.to_string()],
            service_tag,
        }
    };
    names
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                Port {
                    name: name.to_string(),
                    role: role(name),
                },
            )
        })
        .collect()
}

/// Whom the switch believes: reads the key file.
pub fn trust(config: &Config) -> Result<Trust, SwitchError> {
    let key = config.key_file.as_deref().map(Key::load).transpose()?;
    Ok(Trust {
        key,
        signed_only: config.require_signed,
    })
}

impl Switch {
    /// Starts a switch, or takes over the datapath that a former run has left.
    ///
    /// If that fails, everything is as it was before.
    pub fn start(config: &Config, instance: &InstanceName) -> Result<Self, SwitchError> {
        Self::start_under(check_host()?, config, instance)
    }

    /// [`Self::start`] under a kernel that can do this.
    fn start_under(
        kernel: Kernel,
        config: &Config,
        instance: &InstanceName,
    ) -> Result<Self, SwitchError> {
        let trust = trust(config)?;
        let (pins, state) = (Pins::of(instance), StateFile::of(instance));
        let earlier = state
            .read(instance)
            .map_err(InstanceError::from)?
            .unwrap_or_default();
        let wanted = wanted_ports(config);
        let problems = check_ports(&wanted, &pins.programs(), |warning| {
            tracing::warn!("{warning}")
        });
        if !problems.is_empty() {
            return Err(InstanceError::Ports(problems).into());
        }
        let mut programs = Programs::load(&SWITCH, kernel, &pins, config.max_flows)?;
        let adopted = programs.adopted;
        let started = Self::start_on(
            config,
            trust,
            &pins,
            &state,
            &earlier,
            &wanted,
            &mut programs,
        );
        let (changes, ports, learner, thread, record) = started.inspect_err(|_| {
            // A datapath that was there before goes on as it was. Of a new one nothing stays.
            if !adopted {
                instance::undo(&pins, &state, instance);
            }
        })?;
        let words = programs.words();
        Ok(Self {
            pins,
            state,
            changes,
            learner,
            thread,
            record,
            ports,
            sites: config.sites.len(),
            words,
            _programs: programs,
        })
    }

    fn start_on(
        config: &Config,
        trust: Trust,
        pins: &Pins,
        state: &StateFile,
        earlier: &State,
        wanted: &[(PortName, Port)],
        programs: &mut Programs,
    ) -> Result<Parts, SwitchError> {
        let (changes, links) = instance::make_ready(wanted, earlier, state)?;
        let mut tables = Tables::open(pins)?;
        let without_mode: Vec<_> = links
            .iter()
            .map(|(name, link)| (name.clone(), link.clone(), 0))
            .collect();
        Topology::apply(config, &without_mode, pins, &mut tables)?;
        let attached = programs.attach_all(pins, links, config.xdp_mode)?;
        instance::check_redirects(&attached, programs.adopted)?;
        // Ports of a former run that this one does not have.
        pins.keep_links(wanted.iter().map(|(name, _)| name))?;
        let topology = Topology::apply(config, &attached, pins, &mut tables)?;
        let ports = topology.ports.clone();
        let record = Arc::<Record>::default();
        let rings = Rings::open(pins)?;
        let (learner, thread) =
            learning::start(config, trust, topology, tables, rings, Arc::clone(&record))?;
        Ok((changes, ports, learner, thread, record))
    }

    /// What the control socket asks.
    pub fn backend(&self) -> Result<Arc<dyn Backend>, SwitchError> {
        Ok(Arc::new(Control {
            tables: Tables::open(&self.pins)?,
            learner: self.learner.clone(),
            record: Arc::clone(&self.record),
        }))
    }

    /// Whether the learner has ended, which it does by itself only when it fails.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the agent and leaves the datapath running.
    pub fn keep(self) -> Result<(), SwitchError> {
        self.learner.stop();
        Ok(worker::join(self.thread)?)
    }

    /// Ends the agent and the datapath, and puts the ports back.
    pub fn detach(self) -> Result<(), SwitchError> {
        // No frame comes in any more; those that the agent has still leave.
        self.pins.remove_links()?;
        self.learner.stop();
        let learned = worker::join(self.thread).map_err(SwitchError::from);
        let cleared = instance::clear(&self.pins, &self.changes, &self.state);
        learned.and(cleared.map_err(Into::into))
    }
}

/// The answers to the control socket's questions.
struct Control {
    tables: Tables,
    learner: Handle,
    record: Arc<Record>,
}

impl Backend for Control {
    fn flows(&self) -> BoxFuture<'_, Result<Vec<Flow>, String>> {
        Box::pin(async {
            report::flows(&self.tables).map_err(|error| format!("cannot read the maps: {error}"))
        })
    }

    fn stats(&self) -> BoxFuture<'_, Result<AnyStats, String>> {
        Box::pin(async {
            let mut stats = report::stats(&self.tables)
                .map_err(|error| format!("cannot read the maps: {error}"))?;
            stats.learn_us = self.record.learn_us();
            stats.agent.running = true;
            stats.agent.pid = Some(std::process::id());
            Ok(stats.into())
        })
    }

    fn order(&self, order: Order) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.learner.order(order))
    }

    fn explain(&self, address: VmAddress) -> BoxFuture<'_, Result<Explanation, String>> {
        Box::pin(self.learner.explain(address))
    }

    fn journal(&self) -> &Journal {
        self.record.journal()
    }
}

/// How often a running switch looks after itself.
pub const WATCH: Duration = Duration::from_millis(250);

/// The maps of an instance that no agent runs for; nothing where none are pinned.
pub fn offline(instance: &InstanceName) -> Result<Option<Tables>, DatapathError> {
    let pins = Pins::of(instance);
    if !pins.exist() {
        return Ok(None);
    }
    let tables = Tables::open(&pins)?;
    // A start that failed half-way has maps without names in them.
    let names = Names::read(&tables).map_err(|source| DatapathError::Map {
        verb: "read the names",
        source,
    })?;
    Ok((!names.networks.is_empty()).then_some(tables))
}
