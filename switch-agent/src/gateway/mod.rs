//! The DC side: a gateway hears of VMs that have arrived on its LAN, and tells the switch.
//!
//! One thread (`announcer`) owns what is known and sends; everything it decides with is pure:
//! `heard` reads announcements, `stations` keeps who has which addresses, `questions` asks
//! where only a MAC is known, `schedule` says when the switch is told, `neighbours` where the
//! learning packets go. The datapath carries frames and picks those that are listened to.

mod address_file;
mod announcer;
mod config;
mod destination;
mod heard;
mod housekeeping;
mod log;
mod neighbours;
mod notify;
mod plug;
mod questions;
mod schedule;
mod sequence;
mod stations;
mod tables;
mod way;

use std::{io, sync::Arc, thread, time::Instant};

use aya::maps::MapError;
use aya_log::EbpfLogger;
use futures::future::BoxFuture;
use thiserror::Error;

pub use address_file::AddressFileError;
pub use config::{GatewayConfig, GatewayConfigError, GatewaySettings, HttpUrl, Mode, Trunk};
pub use destination::{Destination, DestinationError};
pub use sequence::{DIRECTORY, SequenceError};
pub use tables::{GatewayTables, offline, report};

use announcer::Announcer;
use housekeeping::Housekeeping;
use log::Log;
use neighbours::Neighbours;
use notify::Notifier;
use plug::wanted_ports;
use sequence::Sequence;
use stations::Stations;
use way::Way;

use crate::{
    api::AnyStats,
    control::{Backend, Journal},
    datapath::{DatapathError, GATEWAY, Pins, PortEntry, Programs},
    instance::{self, InstanceError, check_host, check_ports},
    learning_key::{Key, KeyError},
    net::link,
    ports::Changes,
    state::StateFile,
    types::{InstanceName, PortName},
    worker::{self, Handle},
};

/// Why a gateway does not start, or cannot go on.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// The host, or the ports.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The datapath.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The key of the learning packets.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The operator's addresses.
    #[error(transparent)]
    Addresses(#[from] AddressFileError),
    /// The sequence numbers.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// A map cannot be read or written.
    #[error("cannot use the maps: {0}")]
    Map(#[from] MapError),
    /// A system call of the thread's loop.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: nix::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread of the gateway: {0}")]
    Thread(#[source] io::Error),
}

/// The ways out are these now.
struct Letter {
    lan: Option<Way>,
    trunk: Option<Way>,
}

/// A gateway that runs.
pub struct Gateway {
    config: GatewayConfig,
    instance: InstanceName,
    pins: Pins,
    state: StateFile,
    programs: Programs,
    tables: GatewayTables,
    /// The ports that are used, as they were when they were plugged in.
    ports: Vec<PortEntry>,
    changes: Vec<Changes>,
    log: Arc<Log>,
    handle: Handle<Letter>,
    thread: thread::JoinHandle<Result<(), GatewayError>>,
    id: u32,
    /// The rare words of the datapath.
    words: Option<EbpfLogger<&'static dyn ::log::Log>>,
    /// What stands against a port that is there, and when it was last tried.
    trouble: Option<(String, Instant)>,
}

impl Gateway {
    /// Starts a gateway, or takes over the datapath that a former run has left.
    ///
    /// If that fails, everything is as it was before.
    pub fn start(config: GatewayConfig, instance: &InstanceName) -> Result<Self, GatewayError> {
        let kernel = check_host()?;
        let key = config.key_file.as_deref().map(Key::load).transpose()?;
        let given = config.addresses.as_deref().map(address_file::load);
        let stations = Stations::new(given.transpose()?.unwrap_or_default());
        let (pins, state) = (Pins::of(instance), StateFile::of(instance));
        let wanted = wanted_ports(&config);
        let problems = check_ports(&wanted, &pins.programs(), |warning| {
            tracing::warn!("{warning}");
        });
        if !problems.is_empty() {
            return Err(InstanceError::Ports(problems).into());
        }
        let id = match config.id {
            Some(id) => id,
            None => id_of(&config.trunk.port)?,
        };
        let sequence = Sequence::open(&config.state_dir, id)?;
        let notifier = config.notify.clone().map(Notifier::start).transpose();
        let notifier = notifier.map_err(GatewayError::Thread)?;
        warn_of_families(&config);

        let mut programs = Programs::load(&GATEWAY, kernel, &pins, None)?;
        let (adopted, words) = (programs.adopted, programs.words());
        let start = || {
            let log = Arc::<Log>::default();
            let mut announcer = Announcer {
                id,
                tables: GatewayTables::open(&pins)?,
                notices: tables::open_notices(&pins)?,
                stations,
                neighbours: Neighbours::new(&config.destinations),
                sequence,
                key,
                notifier,
                log: Arc::clone(&log),
                schedule: schedule::Schedule::default(),
                questions: questions::Questions::default(),
                housekeeping: Housekeeping::default(),
                lan: None,
                trunk: None,
            };
            announcer.adopt()?;
            let (handle, inbox) = worker::worker().map_err(|source| GatewayError::System {
                what: "make an eventfd",
                source,
            })?;
            let thread = thread::Builder::new()
                .name("announcer".to_owned())
                .spawn(move || announcer.run(&inbox))
                .map_err(GatewayError::Thread)?;
            let mut gateway = Self {
                tables: GatewayTables::open(&pins)?,
                pins: pins.clone(),
                state: state.clone(),
                instance: instance.clone(),
                config,
                programs,
                ports: Vec::new(),
                changes: Vec::new(),
                log,
                handle,
                thread,
                id,
                words,
                trouble: None,
            };
            gateway.plug(&wanted)?;
            Ok(gateway)
        };
        start().inspect_err(|_: &GatewayError| {
            // A datapath that was there before goes on as it was. Of a new one nothing stays.
            if !adopted {
                instance::undo(&pins, &state, instance);
            }
        })
    }

    /// How many ports are used.
    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// The gateway's id in learning packets.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the control socket asks.
    ///
    /// # Errors
    /// The maps cannot be opened.
    pub fn backend(&self) -> Result<Arc<dyn Backend>, GatewayError> {
        Ok(Arc::new(Control {
            tables: GatewayTables::open(&self.pins)?,
            log: Arc::clone(&self.log),
            id: self.id,
        }))
    }

    /// Whether the thread has ended, which it does by itself only when it fails.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the agent and leaves the datapath running.
    pub fn keep(self) -> Result<(), GatewayError> {
        self.handle.stop();
        worker::join(self.thread)
    }

    /// Ends the agent and the datapath, and puts the ports back.
    pub fn detach(self) -> Result<(), GatewayError> {
        self.pins.remove_links()?;
        self.handle.stop();
        let ended = worker::join(self.thread);
        let cleared = instance::clear(&self.pins, &self.changes, &self.state);
        ended.and(cleared.map_err(Into::into))
    }
}

/// An id made of the lower four bytes of a port's MAC, which no two ports of a network share.
fn id_of(port: &PortName) -> Result<u32, GatewayError> {
    let link = link::by_name(port.as_str()).map_err(InstanceError::from)?;
    let [_, _, a, b, c, d] = link.mac;
    Ok(u32::from_be_bytes([a, b, c, d]))
}

fn warn_of_families(config: &GatewayConfig) {
    let has = |v4| {
        config
            .destinations
            .iter()
            .any(|to| to.address.is_ipv4() == v4)
    };
    match (config.destinations.is_empty(), has(true), has(false)) {
        (true, ..) => tracing::info!("no --announce-to: no learning packets are sent"),
        (false, true, false) => tracing::warn!(
            "no --announce-to is an IPv6 address: the switch is not told of IPv6 addresses"
        ),
        (false, false, true) => tracing::warn!(
            "no --announce-to is an IPv4 address: the switch is not told of IPv4 addresses"
        ),
        _ => {}
    }
}

/// The answers to the control socket's questions.
struct Control {
    tables: GatewayTables,
    log: Arc<Log>,
    id: u32,
}

impl Backend for Control {
    fn stats(&self) -> BoxFuture<'_, Result<AnyStats, String>> {
        Box::pin(async {
            let mut stats =
                report(&self.tables).map_err(|error| format!("cannot read the maps: {error}"))?;
            stats.gateway = Some(self.id);
            stats.agent.running = true;
            stats.agent.pid = Some(std::process::id());
            Ok(stats.into())
        })
    }

    fn journal(&self) -> &Journal {
        self.log.journal()
    }
}
