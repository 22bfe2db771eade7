//! The kernel settings that make a namespace quiet.

use std::path::Path;

use anyhow::Result;

use super::{
    bpf::{Rule, Step, When},
    tc::{self, Side},
};
use crate::Namespace;

/// Interfaces without IPv6 until they are given it, IPv6 that works at once and asks nobody for
/// anything, and bridges without netfilter.
pub(crate) fn quiet(namespace: &Namespace) -> Result<()> {
    // Those that are there have copies of their own, those to come copy the default.
    namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
    // Both `all` and `default`, as the kernel takes the larger `accept_dad`.
    for scope in ["all", "default"] {
        for key in ["accept_dad", "accept_ra", "router_solicitations"] {
            namespace.sysctl(&format!("net/ipv6/conf/{scope}/{key}"), "0")?;
        }
        // A migrated guest does not see its cable pulled, so its neighbours must outlive that.
        namespace.sysctl(&format!("net/ipv4/conf/{scope}/arp_evict_nocarrier"), "0")?;
        namespace.sysctl(&format!("net/ipv6/conf/{scope}/ndisc_evict_nocarrier"), "0")?;
    }
    for hook in ["arptables", "ip6tables", "iptables"] {
        let key = format!("net/bridge/bridge-nf-call-{hook}");
        // Absent where br_netfilter is not loaded, and then there is nothing to switch off.
        if Path::new("/proc/sys").join(&key).exists() {
            namespace.sysctl(&key, "0")?;
        }
    }
    Ok(())
}

/// Reports of multicast groups end at the door: the kernel has no switch for them.
pub(crate) const fn silence() -> Rule<'static> {
    (When::HopByHop, &[Step::Drop])
}

impl Namespace {
    /// Gives an interface IPv6, but not the habit of reporting the multicast groups it is in.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn enable_ipv6(&self, interface: &str) -> Result<()> {
        // The door must be shut before: tests that count frames want to know all of them.
        tc::attach(self, interface, Side::Egress, &[silence()], &[Step::Pass])?;
        self.sysctl(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "0")
    }
}
