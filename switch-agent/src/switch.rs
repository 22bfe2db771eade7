//! A switch from start to end: ports made ready, datapath loaded and attached, learner running.

use std::{sync::Arc, thread, time::Duration};

use aya_log::EbpfLogger;
use caps::{CapSet, Capability};
use futures::future::BoxFuture;
use switch_ebpf::abi::MODE_NATIVE;
use thiserror::Error;

use crate::{
    api::{Flow, Order, Stats},
    config::Config,
    control::{Backend, Journal},
    datapath::{DatapathError, Names, Pins, PortEntry, Programs, Tables, Topology, open_misses},
    learning::{self, Handle, LearnError, Record, Trust},
    learning_key::{Key, KeyError},
    net::link::{self, Link},
    ports::{self, Changes, KernelError, Port, PortError, PortRole},
    report,
    state::{State, StateError, StateFile},
    types::{InstanceName, PortName, Tpid},
};

/// What a switch needs to be allowed: links and offloads, raw sockets, BPF.
const CAPABILITIES: [Capability; 3] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_SYS_ADMIN,
];

/// Why a switch does not start, or does not end as it should.
#[derive(Debug, Error)]
pub enum SwitchError {
    /// Not allowed.
    #[error("the switch needs the capability {0}; run it as root, for example with sudo")]
    Privileges(Capability),
    /// The kernel lacks what the programs need.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Ports that cannot be used.
    #[error("{}", .0.join("; and "))]
    Ports(Vec<String>),
    /// A port that could not be made ready or put back.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A link that could not be looked at.
    #[error(transparent)]
    Link(#[from] link::LinkError),
    /// The datapath.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The note of what was changed.
    #[error(transparent)]
    State(#[from] StateError),
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

/// Ports made ready: what was changed, and what they are now.
type Ready = (Vec<Changes>, Vec<(PortName, Link)>);

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

/// Refuses what cannot work before anything is touched.
pub fn check_host() -> Result<(), SwitchError> {
    ports::check_kernel()?;
    for capability in CAPABILITIES {
        if !caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false) {
            return Err(SwitchError::Privileges(capability));
        }
    }
    Ok(())
}

/// Whom the switch believes: reads the key file.
pub fn trust(config: &Config) -> Result<Trust, SwitchError> {
    let key = config.key_file.as_deref().map(Key::load).transpose()?;
    Ok(Trust {
        key,
        signed_only: config.require_signed,
    })
}

/// Everything that stops these ports, each in a line; warnings go to `warn`.
pub fn check_ports(
    ports: &[(PortName, Port)],
    own_programs: &[u32],
    mut warn: impl FnMut(String),
) -> Vec<String> {
    let mut problems = Vec::new();
    for (_, port) in ports {
        let report = ports::check(port, own_programs);
        problems.extend(report.problems.iter().map(ToString::to_string));
        report
            .warnings
            .iter()
            .for_each(|warning| warn(warning.to_string()));
    }
    problems
}

impl Switch {
    /// Starts a switch, or takes over the datapath that a former run has left.
    ///
    /// If that fails, everything is as it was before.
    pub fn start(config: &Config, instance: &InstanceName) -> Result<Self, SwitchError> {
        check_host()?;
        let trust = trust(config)?;
        let (pins, state) = (Pins::of(instance), StateFile::of(instance));
        let earlier = state.read(instance)?.unwrap_or_default();
        let wanted = wanted_ports(config);
        let problems = check_ports(&wanted, &pins.programs(), |warning| {
            tracing::warn!("{warning}")
        });
        if !problems.is_empty() {
            return Err(SwitchError::Ports(problems));
        }
        let mut programs = Programs::load(&pins, config.max_flows)?;
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
                undo(&pins, &state, instance);
            }
        })?;
        let words = EbpfLogger::init(programs.ebpf())
            .inspect_err(|error| tracing::debug!(%error, "no words from the datapath"))
            .ok();
        Ok(Self {
            pins,
            state,
            changes,
            learner,
            thread,
            record,
            ports,
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
        let (changes, links) = make_ready(wanted, earlier, state)?;
        let mut tables = Tables::open(pins)?;
        let without_mode: Vec<_> = links
            .iter()
            .map(|(name, link)| (name.clone(), link.clone(), 0))
            .collect();
        Topology::apply(config, &without_mode, pins, &mut tables)?;
        let mut attached = Vec::new();
        for (name, link) in links {
            let at = programs.attach(pins, &name, &link, config.xdp_mode)?;
            tracing::debug!(port = %name, mode = at.mode, adopted = at.adopted, "attached");
            attached.push((name, link, at.mode));
        }
        no_frame_is_lost_between(&attached, programs.adopted)?;
        // Ports of a former run that this one does not have.
        pins.keep_links(wanted.iter().map(|(name, _)| name))?;
        let topology = Topology::apply(config, &attached, pins, &mut tables)?;
        let ports = topology.ports.clone();
        let record = Arc::<Record>::default();
        let misses = open_misses(pins)?;
        let (learner, thread) =
            learning::start(config, trust, topology, tables, misses, Arc::clone(&record))?;
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
        join(self.thread)
    }

    /// Ends the agent and the datapath, and puts the ports back.
    pub fn detach(self) -> Result<(), SwitchError> {
        // No frame comes in any more; those that the agent has still leave.
        self.pins.remove_links()?;
        self.learner.stop();
        let learned = join(self.thread);
        self.pins.remove()?;
        let restored = put_back(&self.changes);
        self.state.remove()?;
        learned.and(restored)
    }
}

/// Refuses ports that would take no frame from the others, which the programs could not notice. What
/// forwards already is not stopped for that.
fn no_frame_is_lost_between(
    attached: &[(PortName, Link, u16)],
    adopted: bool,
) -> Result<(), SwitchError> {
    if !attached.iter().any(|(.., mode)| *mode == MODE_NATIVE) {
        return Ok(());
    }
    let mut problems = Vec::new();
    for (_, link, _) in attached {
        problems.extend(ports::takes_redirects(link)?.map(|problem| problem.to_string()));
    }
    if adopted {
        problems
            .drain(..)
            .for_each(|problem| tracing::warn!("{problem}"));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(SwitchError::Ports(problems)),
    }
}

fn join(thread: Thread) -> Result<(), SwitchError> {
    match thread.join() {
        Ok(ended) => Ok(ended?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Makes ports ready. What is changed is written down first, and what a former run wrote down about
/// ports that are no longer wanted is put back.
fn make_ready(
    wanted: &[(PortName, Port)],
    earlier: &State,
    state: &StateFile,
) -> Result<Ready, SwitchError> {
    let mut plans = Vec::new();
    for (name, port) in wanted {
        let link = link::by_name(&port.name)?;
        let mut changes = ports::plan(&link)?;
        earlier
            .ports
            .iter()
            .for_each(|former| changes.adopt(former));
        plans.push((name, changes));
    }
    let changes: Vec<_> = plans.iter().map(|(_, changes)| changes.clone()).collect();
    let is_wanted = |former: &Changes| changes.iter().any(|now| now.ifindex == former.ifindex);
    let dropped: Vec<_> = earlier
        .ports
        .iter()
        .filter(|former| !is_wanted(former))
        .collect();
    let noted = changes
        .iter()
        .chain(dropped.iter().copied())
        .cloned()
        .collect();
    state.write(&State::here(noted)?)?;
    let mut links = Vec::new();
    for (name, changes) in plans {
        links.push((name.clone(), ports::apply(&changes)?));
    }
    for former in dropped {
        ports::restore(former)?;
    }
    state.write(&State::here(changes.clone())?)?;
    Ok((changes, links))
}

fn put_back(changes: &[Changes]) -> Result<(), SwitchError> {
    let mut first = Ok(());
    for change in changes {
        if let Err(error) = ports::restore(change)
            && first.is_ok()
        {
            first = Err(error.into());
        }
    }
    first
}

/// Undoes a start that failed. The failure itself is what the operator is told.
fn undo(pins: &Pins, state: &StateFile, instance: &InstanceName) {
    if let Err(error) = remove(pins, state, instance) {
        tracing::warn!(%error, "cannot undo the start; `switch-agent detach` tries again");
    }
}

fn remove(pins: &Pins, state: &StateFile, instance: &InstanceName) -> Result<bool, SwitchError> {
    let noted = state.read(instance)?;
    let found = noted.is_some() || pins.exist();
    pins.remove()?;
    put_back(&noted.unwrap_or_default().ports)?;
    state.remove()?;
    Ok(found)
}

/// Removes what an instance has left: programs, maps and links, and its changes to ports. Whether
/// there was anything.
pub fn detach(instance: &InstanceName) -> Result<bool, SwitchError> {
    remove(&Pins::of(instance), &StateFile::of(instance), instance)
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

    fn stats(&self) -> BoxFuture<'_, Result<Stats, String>> {
        Box::pin(async {
            let mut stats = report::stats(&self.tables)
                .map_err(|error| format!("cannot read the maps: {error}"))?;
            stats.learn_us = self.record.learn_us();
            stats.agent.running = true;
            stats.agent.pid = Some(std::process::id());
            Ok(stats)
        })
    }

    fn order(&self, order: Order) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.learner.order(order))
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
