//! The controller: reads misses, applies the learning rule, writes bindings, gives frames back.
//!
//! One thread owns all of it and is the only one that writes bindings, so that there is nothing to
//! lock. Others reach it through [`Handle`].

mod announce;
mod by_mac;
mod confirm;
mod conflict;
mod decide;
mod explain;
mod flow_table;
mod frame_text;
mod gateways;
mod handover;
mod heard;
mod idle;
mod inflow;
mod learner;
mod log_quota;
mod operator;
mod outbox;
mod quarantine;
mod record;
mod refusals;
mod renewal;
mod slots;
mod taken_over;

use std::{sync::Arc, thread};

use aya::maps::MapError;
pub use gateways::Trust;
pub use record::Record;
use switch_ebpf::rule::{Learn, Policy};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::{
    api::{Explanation, Order},
    config::{self, Config, nanoseconds},
    datapath::{Rings, Tables, Topology},
    net::packet::SendError,
    types::VmAddress,
    worker,
};

/// Why learning cannot go on.
#[derive(Debug, Error)]
pub enum LearnError {
    /// A map cannot be read or written.
    #[error("cannot use the maps: {0}")]
    Map(#[from] MapError),
    /// A way out of a port.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A system call of the learner's loop.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: nix::Error,
    },
    /// The thread could not be started.
    #[error("cannot start the learner's thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// What is asked of the learner, and the way back.
enum Mail {
    /// An operator's order.
    Order(Order, oneshot::Sender<Result<(), String>>),
    /// The question why an address is where it is.
    Explain(VmAddress, oneshot::Sender<Result<Explanation, String>>),
}

/// The learner, from outside.
#[derive(Clone)]
pub struct Handle(worker::Handle<Mail>);

impl Handle {
    /// Has the learner carry out an order.
    ///
    /// # Errors
    /// Why it could not be, in a line for the operator.
    pub async fn order(&self, order: Order) -> Result<(), String> {
        self.ask(|reply| Mail::Order(order, reply)).await
    }

    /// Has the learner explain an address.
    ///
    /// # Errors
    /// As for an order.
    pub async fn explain(&self, address: VmAddress) -> Result<Explanation, String> {
        self.ask(|reply| Mail::Explain(address, reply)).await
    }

    async fn ask<T>(
        &self,
        mail: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Mail,
    ) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send(mail(reply))
            .map_err(|error| format!("cannot reach the learner, it may be ending: {error}"))?;
        let gone = |_| "the switch is shutting down".to_owned();
        answer.await.map_err(gone)?
    }

    /// Has the learner finish: what it has read of the ring still leaves.
    pub fn stop(&self) {
        self.0.stop();
    }
}

/// Starts the learner's thread. It ends with [`Handle::stop`] or with an error.
pub fn start(
    config: &Config,
    trust: Trust,
    topology: Topology,
    tables: Tables,
    rings: Rings,
    record: Arc<Record>,
) -> Result<(Handle, thread::JoinHandle<Result<(), LearnError>>), LearnError> {
    let (handle, inbox) = worker::worker().map_err(|source| LearnError::System {
        what: "make an eventfd",
        source,
    })?;
    let mut learner = learner::Learner::new(config, trust, topology, tables, rings, record)?;
    let thread = thread::Builder::new()
        .name("learner".to_owned())
        .spawn(move || {
            if let Err(error) = worker::go_first() {
                tracing::info!(%error, "a busy machine may delay moves, as the learner may not go before \
                    other processes; that takes CAP_SYS_NICE");
            }
            learner.run(&inbox)
        })
        .map_err(LearnError::Thread)?;
    Ok((Handle(handle), thread))
}

impl From<config::Learn> for Learn {
    fn from(learn: config::Learn) -> Self {
        match learn {
            config::Learn::Auto => Self::Auto,
            config::Learn::MovesOnly => Self::MovesOnly,
        }
    }
}

/// The rule's policy in a configuration.
fn policy(config: &Config) -> Policy {
    Policy {
        learn: config.learn.into(),
        hold_down_data_ns: nanoseconds(config.hold_down_data),
        hold_down_announce_ns: nanoseconds(config.hold_down_announce),
        quarantine_moves: config.quarantine_moves,
        quarantine_window_ns: nanoseconds(config.quarantine_window),
        quarantine_ns: nanoseconds(config.quarantine_time),
        pin_mac: config.pin_mac,
    }
}
