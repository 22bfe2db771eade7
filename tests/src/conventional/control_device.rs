//! The control device 50 of Fig. 7: it hears from a helper at a data centre that a VM is there, and
//! orders the switch. All it knows is what an operator has written down.
//!
//! It is a process of its own, so that it can die.

mod process;
mod server;

pub use process::{ControlDevice, Reports};
pub use server::{Args, run};

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// The network data that an operator keeps up to date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkData {
    /// Which site each helper stands for, by the helper's number.
    pub helpers: BTreeMap<u32, String>,
    /// The VMs that may move, and the site each begins at.
    pub vms: BTreeMap<Ipv4Addr, String>,
}

impl NetworkData {
    /// How many lines an operator has to write for it.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.helpers.len() + self.vms.len()
    }
}

/// What the control device says on standard output, a line of JSON each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Report {
    /// It listens, and every VM is bound where it begins.
    Ready,
    /// It has ordered the switch.
    Moved(Moved),
}

/// A VM that the switch has been ordered to move, and has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The VM.
    pub address: Ipv4Addr,
    /// When the helper's message was there, since the Unix epoch.
    heard: Duration,
    /// When the switch had done it, since the Unix epoch.
    done: Duration,
}

/// The time since the Unix epoch: the clock that two processes have in common.
fn epoch() -> Duration {
    // A clock before 1970 makes the times wrong, and nothing else.
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}
