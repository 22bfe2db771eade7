//! A guest that is paused, as in the last phase of a live migration.

use anyhow::Result;

use crate::{
    Vm,
    net::{
        bpf::Step,
        tc::{self, Side},
    },
};

impl Vm {
    /// Pauses the guest's network stack: it sends nothing any more, not even what its TCP has in
    /// store or sends again by the clock. Its programs go on: hold their senders yourself.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn pause(&self) -> Result<()> {
        tc::attach(&self.ns, &self.interface, Side::Egress, &[], &[Step::Drop])
    }

    /// Resumes the guest's network stack.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn resume(&self) -> Result<()> {
        // Replaces the pause by what every host has there.
        self.ns.enable_ipv6(&self.interface)
    }
}
