//! The control socket: how the other commands talk to a running instance.
//!
//! One connection carries one request and its answer, lines of JSON both ways
//! ([`crate::api`]); then it is closed.

mod client;
#[cfg(test)]
pub(crate) mod fake;
mod journal;
mod server;
mod socket;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

pub use client::{Answer, Client, ClientError};
pub use journal::Journal;
pub use server::serve;
pub use socket::{ControlSocket, SocketError, bind_socket};

use crate::{
    api::{Flow, Order, Stats},
    types::InstanceName,
};

/// Where the sockets of all instances are.
const DIRECTORY: &str = "/run/switch-agent";

fn socket_path(directory: &Path, instance: &InstanceName) -> PathBuf {
    directory.join(format!("{instance}.sock"))
}

/// What the control socket needs of a running switch. An error's text goes to
/// the operator as it is: it says what was tried, why it failed and what to do.
pub trait Backend: Send + Sync + 'static {
    /// The flow table.
    fn flows(&self) -> BoxFuture<'_, Result<Vec<Flow>, String>>;

    /// The counters.
    fn stats(&self) -> BoxFuture<'_, Result<Stats, String>>;

    /// Changes a binding.
    fn order(&self, order: Order) -> BoxFuture<'_, Result<(), String>>;

    /// What happened.
    fn journal(&self) -> &Journal;
}
