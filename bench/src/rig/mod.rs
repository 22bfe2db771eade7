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
//! | [`mod@populate`] | a flow table filled at once |

mod cables;
mod cpu;
pub mod object;
mod populate;
mod station;
pub mod system;
mod traffic;
pub mod vm;

use std::{
    any::Any,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::Namespace;

pub use cables::{Cables, PORTS, VLAN};
pub use populate::populate;
use station::Station;
pub use traffic::{Direction, Traffic};
pub use vm::Family;

/// Two stations with a system between them.
pub struct Rig {
    // First, for it is at the ports and lets go of them.
    _system: Box<dyn Any>,
    client: Station,
    sites: Station,
    // Last: without a holder the switch's namespace is gone, and its cables with it.
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

    /// Sends as fast as possible for so long, after a while of the same that does not count. How many
    /// frames arrived in a second.
    ///
    /// # Errors
    /// Nothing arrived.
    pub fn rate(&mut self, traffic: &Traffic, run: Duration) -> Result<f64> {
        let (from, to) = match traffic.direction {
            Direction::Up => (&mut self.client, &self.sites),
            Direction::Down => (&mut self.sites, &self.client),
        };
        from.send(traffic, run / 4)?;
        let (start, before) = (Instant::now(), to.arrived()?);
        from.send(traffic, run)?;
        let (time, arrived) = (start.elapsed(), to.arrived()? - before);
        ensure!(arrived > 0, "no frame arrived: {traffic}");
        Ok(arrived as f64 / time.as_secs_f64())
    }
}
