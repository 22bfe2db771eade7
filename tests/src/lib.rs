//! The namespace lab: Fig. 1 of the design laid out on one machine.
//!
//! Every device of the figure is a network namespace, every cable a veth pair, and the hosts have
//! real sockets. Nothing is named outside the process: the namespaces are held by open file
//! descriptors only, so they vanish with the test, however it ends.
//!
//! | module | what it holds |
//! |---|---|
//! | [`namespace`] | a network namespace and how to run something in it |
//! | [`net`] | links, addresses, offloads, and the VLAN handling of the stand-in devices |
//! | [`fig1`] | the laboratory itself: client, switch, WAN, data centres, VMs, migration |
//! | [`frame`] | building frames byte by byte |
//! | [`raw`] | sending and receiving frames as they are on the wire |
//! | [`kernel`] | the version of the kernel |
//! | [`prog_run`] | running the XDP program of a port on one frame |
//! | [`traffic`] | TCP downloads, numbered UDP streams, echo |
//! | [`agent`] | a running `switch-agent` that leaves nothing behind |
//! | [`gateways`] | a real gateway in each data centre |
//! | [`conventional`] | Fig. 7: the system that a control device moves VMs in |
//! | [`interrupt`] | Ctrl-C |
//! | [`paint`] | pictures of what was measured |
//! | [`process`] | programs that end with us |
//! | [`vm`] | VMs that are real ones: QEMU guests that are live-migrated |
//! | [`poll`] | waiting for something to become true |
//!
//! The lab needs root. It is synchronous: whatever enters a namespace does so in a thread of its
//! own, never on an async worker, so it can be used from any test.

pub mod agent;
pub mod conventional;
pub mod fig1;
pub mod frame;
pub mod gateways;
pub mod host;
pub mod interrupt;
pub mod kernel;
pub mod namespace;
pub mod net;
pub mod paint;
pub mod poll;
pub mod process;
pub mod prog_run;
pub mod raw;
pub mod traffic;
pub mod vm;

pub use agent::Agent;
pub use conventional::Conventional;
pub use fig1::{Dc, Lab, Vm};
pub use frame::{Mac, Tag};
pub use gateways::Gateways;
pub use host::{Endpoint, Host};
pub use namespace::Namespace;
pub use net::{
    counters::LinkCounters,
    veth::{veth, veth_with_mtu},
};
pub use poll::poll_until;
pub use prog_run::{AttachedProgram, Verdict};
pub use raw::{Capture, RawReceiver, RawSender, Received};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose data stays usable when another thread panicked while holding it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
