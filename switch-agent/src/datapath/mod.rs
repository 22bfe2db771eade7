//! The datapath as the agent sees it: programs loaded, maps pinned and typed, ports attached.

mod allowed;
mod attach;
mod attachments;
mod batch;
mod bpf;
mod flow_counters;
pub mod kernel;
mod leave;
mod load;
mod mapped;
mod pins;
mod shortcuts;
mod tables;
mod tally;
mod topology;

use std::{io, path::PathBuf};

pub use attach::Attached;
use aya::{
    EbpfError,
    maps::{MapError, xdp::XdpMapError},
    pin::PinError,
    programs::{ProgramError, links::LinkError},
};
pub use kernel::{Kernel, KernelError};
pub use load::{GATEWAY, Object, Programs, SWITCH};
pub use pins::Pins;
pub use shortcuts::Place;
pub use tables::{Rings, Tables};
pub(crate) use tables::{check_layout, open};
pub use tally::Tally;
use thiserror::Error;
pub use topology::{Names, PortEntry, SiteEntry, Topology};
pub(crate) use topology::{leg, write_ports, writing};

/// What can go wrong between the agent and the kernel's half of the switch.
#[derive(Debug, Error)]
pub enum DatapathError {
    /// bpffs is not there and cannot be mounted.
    #[error("cannot mount bpffs on /sys/fs/bpf: {0}; as root: `mount -t bpf bpf /sys/fs/bpf`")]
    Bpffs(#[source] nix::Error),
    /// The directory of the pins.
    #[error("cannot {verb} {}: {source}", path.display())]
    Pins {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel does not say how many CPUs there can be.
    #[error("cannot read how many CPUs there can be: {0}")]
    Cpus(#[source] io::Error),
    /// The kernel has no random numbers.
    #[error("cannot read random numbers from /dev/urandom: {0}")]
    Random(#[source] io::Error),
    /// The flows' counters cannot be numbered.
    #[error(
        "there are {cpus} CPUs: so many counters of {max_flows} flows are too many; use a smaller --max-flows"
    )]
    TooManyFlows {
        /// The flow table's size.
        max_flows: u32,
        /// How many CPUs there can be.
        cpus: usize,
    },
    /// A pinned map cannot be used.
    #[error("cannot open the pinned map {map}: {source}")]
    Open {
        /// The map.
        map: &'static str,
        /// Why.
        source: MapError,
    },
    /// The pins are another version's.
    #[error(
        "{} was left by a switch-agent with map layout {found}, this one has layout {ours}; \
         `switch-agent detach` removes it, bindings included", directory.display()
    )]
    Layout {
        /// The directory of the pins.
        directory: PathBuf,
        /// The version found.
        found: u32,
        /// The version of this program.
        ours: u32,
    },
    /// The pins are those of the other kind of instance.
    #[error(
        "{} was left by {found} and cannot be used by {ours}; give this one another --instance, or \
         remove what is there with `switch-agent detach`", directory.display()
    )]
    OtherKind {
        /// The directory of the pins.
        directory: PathBuf,
        /// Who made them.
        found: &'static str,
        /// Who wanted to use them.
        ours: &'static str,
    },
    /// The pins were made for another size.
    #[error(
        "the running datapath has room for {found} flows, --max-flows asks for {asked}; leave the \
         option out to keep the table, or run `switch-agent detach` first to start with an empty one"
    )]
    MaxFlows {
        /// The size found.
        found: u32,
        /// The size asked for.
        asked: u32,
    },
    /// This program was built without the BPF programs.
    #[error(
        "this switch-agent was built without its XDP programs; build it with `cargo xtask build`"
    )]
    NotBuilt,
    /// The object does not load.
    #[error("cannot load the XDP programs: {0}")]
    Load(#[from] EbpfError),
    /// A program does not load or attach.
    #[error("cannot load the XDP program `{program}`: {source}")]
    Program {
        /// The program.
        program: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// The verifier does not take a program.
    #[error(
        "this kernel's verifier refuses the XDP program `{program}`: {reason}; boot another kernel, the \
         switch is tried on Linux 6.1 and newer (`--log-level debug` shows all that the verifier says)"
    )]
    Verifier {
        /// The program.
        program: &'static str,
        /// The verifier's last word.
        reason: String,
    },
    /// A port cannot take the program.
    #[error("cannot attach to port {port} in {mode} mode: {reason}{hint}")]
    Attach {
        /// The port.
        port: String,
        /// The mode asked for.
        mode: &'static str,
        /// Why.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// A link cannot be pinned or taken over.
    #[error("cannot {verb} the link of port {port}: {source}")]
    Link {
        /// What was tried.
        verb: &'static str,
        /// The port.
        port: String,
        /// Why.
        source: LinkError,
    },
    /// A link cannot be pinned.
    #[error("cannot pin the link of port {port}: {source}")]
    Pin {
        /// The port.
        port: String,
        /// Why.
        source: PinError,
    },
    /// A map cannot be read or written.
    #[error("cannot {verb}: {source}")]
    Map {
        /// What was tried.
        verb: &'static str,
        /// Why.
        source: MapError,
    },
    /// A map of devices cannot be written.
    #[error("cannot {verb}: {source}")]
    Device {
        /// What was tried.
        verb: &'static str,
        /// Why.
        source: XdpMapError,
    },
    /// There is no room for one more.
    #[error("no room for one more {what}: {max} is the most")]
    Full {
        /// Of what.
        what: &'static str,
        /// The most there can be.
        max: u32,
    },
}
