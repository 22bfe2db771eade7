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
    api::{AnyStats, Explanation, Flow, Order},
    types::{InstanceName, VmAddress},
};

/// Where the sockets of all instances are.
const DIRECTORY: &str = "/run/switch-agent";

fn socket_path(directory: &Path, instance: &InstanceName) -> PathBuf {
    directory.join(format!("{instance}.sock"))
}

/// What the control socket needs of a running instance. An error's text goes to
/// the operator as it is: it says what was tried, why it failed and what to do.
pub trait Backend: Send + Sync + 'static {
    /// The flow table. A gateway has none.
    fn flows(&self) -> BoxFuture<'_, Result<Vec<Flow>, String>> {
        no_flow_table()
    }

    /// The counters.
    fn stats(&self) -> BoxFuture<'_, Result<AnyStats, String>>;

    /// Changes a binding. A gateway has none.
    fn order(&self, _: Order) -> BoxFuture<'_, Result<(), String>> {
        no_flow_table()
    }

    /// Why an address is where it is. A gateway does not know.
    fn explain(&self, _: VmAddress) -> BoxFuture<'_, Result<Explanation, String>> {
        no_flow_table()
    }

    /// What happened.
    fn journal(&self) -> &Journal;
}

fn no_flow_table<T: Send + 'static>() -> BoxFuture<'static, Result<T, String>> {
    let text = "this instance is a gateway and has no flow table; ask the switch's instance";
    Box::pin(async move { Err(text.to_owned()) })
}
