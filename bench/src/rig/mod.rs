//! What is measured on: two cables, something between them that forwards, and traffic through it.
//!
//! ```text
//!  client           switch           sites
//!  pc0 ──────────── c0 ? t0 ──────── pt0
//!       untagged          VLAN 1
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`cables`] | the namespaces and the cables between them |
//! | [`object`] | the benchmark's own programs |
//! | [`cpu`] | where they run |
//! | [`station`] | the far end of a cable: where frames come from, and where they are counted |
//! | [`traffic`] | which frames |
//! | [`vm`] | the addresses and MACs of VMs, by number |
//! | [`system`] | what forwards: the switch, and what it is compared with |
//! | [`process`] | programs of others |
//! | [`repeated`] | a port's program by itself |
//! | [`mod@populate`] | a flow table filled at once |

mod cables;
mod cpu;
pub mod object;
mod populate;
pub mod process;
mod repeated;
mod station;
pub mod system;
mod traffic;
pub mod vm;

use std::{any::Any, time::Duration};

use anyhow::{Context, Result};
use lab::Namespace;

pub use cables::{Cables, PORTS, VLAN};
pub use populate::{now_ns, populate};
pub use repeated::{Repeated, Which};
use station::Station;
pub use station::context;
pub use traffic::{Direction, Traffic};
pub use vm::Family;

/// Frames that do not count: caches fill, and it is seen how long a frame takes.
const WARM_UP: u32 = 16_384;
/// Frames that do.
const LEAST: u128 = 4096;

/// Two stations with a system between them.
pub struct Rig {
    // Set up last and taken down first: a veth whose other end has a program cannot be given back all
    // the offloads that the switch found at its port.
    client: Station,
    sites: Station,
    _system: Box<dyn Any>,
    // Without a holder the switch's namespace is gone, and its cables with it.
    _cables: Cables,
}

impl Rig {
    /// Lays the cables, and has `start` put a system between them: into a namespace with the
    /// [`PORTS`].
    ///
    /// # Errors
    /// As those have it.
    pub fn new<S: 'static>(start: impl FnOnce(&Namespace) -> Result<S>) -> Result<Self> {
        let cables = Cables::lay()?;
        let system = Box::new(start(&cables.switch)?);
        Ok(Self {
            _system: system,
            client: Station::at(&cables.client, "pc0")?,
            sites: Station::at(&cables.sites, "pt0")?,
            _cables: cables,
        })
    }

    /// Sends as fast as possible for about so long, after a while of the same that does not count. How
    /// many frames arrived in a second, from the first to the last.
    ///
    /// # Errors
    /// Nothing arrived.
    pub fn rate(&mut self, traffic: &Traffic, run: Duration) -> Result<f64> {
        let (from, to) = match traffic.direction {
            Direction::Up => (&mut self.client, &mut self.sites),
            Direction::Down => (&mut self.sites, &mut self.client),
        };
        let each = from.send(traffic, WARM_UP)?;
        let frames = run.as_nanos() / each.as_nanos().max(1);
        to.forget()?;
        from.send(traffic, frames.clamp(LEAST, u32::MAX.into()) as u32)?;
        let rate = to.rate()?;
        rate.with_context(|| format!("no frame arrived: {traffic}"))
    }
}
