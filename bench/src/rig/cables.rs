//! The namespaces and the cables between them.

use anyhow::Result;
use lab::{Namespace, fig1::TRUNK_MTU, veth, veth_with_mtu};

/// The switch's ports: the client's, and the trunk to the sites.
pub const PORTS: [&str; 2] = ["c0", "t0"];

/// The VLAN of the site that all VMs are at.
pub const VLAN: u16 = 1;

/// A client and a WAN, each on a cable of its own to a namespace with nothing in it yet.
pub struct Cables {
    /// Has the cable's end `pc0`.
    pub client: Namespace,
    /// Has the [`PORTS`].
    pub switch: Namespace,
    /// Has the trunk's other end, `pt0`.
    pub sites: Namespace,
}

impl Cables {
    /// Lays them.
    ///
    /// # Errors
    /// When the kernel refuses, which is mostly a lack of privilege.
    pub fn lay() -> Result<Self> {
        let client = Namespace::new("client")?;
        let switch = Namespace::new("switch")?;
        let sites = Namespace::new("sites")?;
        let [c0, t0] = PORTS;
        veth((&switch, c0), (&client, "pc0"))?;
        veth_with_mtu((&switch, t0), (&sites, "pt0"), TRUNK_MTU)?;
        Ok(Self {
            client,
            switch,
            sites,
        })
    }
}
