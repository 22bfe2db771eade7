//! The kernel's own bridge.

use anyhow::Result;
use lab::Namespace;

use crate::rig::PORTS;

const NAME: &str = "br0";

/// A bridge between the ports. It lives as long as their namespace.
pub struct Bridge;

impl Bridge {
    /// Makes it.
    ///
    /// # Errors
    /// The kernel refuses, as one that was built without bridges does.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        namespace.add_bridge(NAME)?;
        namespace.set_up(NAME)?;
        for port in PORTS {
            namespace.set_bridge(port, Some(NAME))?;
        }
        namespace.wait_running(NAME)?;
        Ok(Self)
    }
}
