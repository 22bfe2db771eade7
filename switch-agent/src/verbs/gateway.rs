//! `gateway`: a data centre's gateway, in the foreground.

use std::sync::Arc;

use super::foreground::{Resident, foreground};
use crate::{
    cli::GatewayArgs,
    control::Backend,
    gateway::Gateway,
    net::link::{LinkError, LinkEvent},
    types::InstanceName,
};

/// Runs a gateway until SIGINT or SIGTERM.
pub fn gateway(instance: &InstanceName, args: GatewayArgs) -> anyhow::Result<()> {
    let config = args.config()?;
    let on_exit = config.on_exit;
    foreground(instance, on_exit, None, || {
        Ok(Gateway::start(config, instance)?)
    })
}

impl Resident for Gateway {
    fn say_ready(&self, instance: &InstanceName) {
        tracing::info!(%instance, ports = self.ports(), gateway = self.id(), "ready");
    }

    fn backend(&self) -> anyhow::Result<Arc<dyn Backend>> {
        Ok(Self::backend(self)?)
    }

    fn link_event(&mut self, event: Result<LinkEvent, LinkError>) {
        match event {
            Ok(LinkEvent::Changed(link) | LinkEvent::Removed(link)) if !self.concerns(&link) => {}
            Ok(_) => self.replug(),
            Err(error) => tracing::warn!(%error, "cannot watch the ports"),
        }
    }

    fn tick(&mut self) {
        self.look_after();
    }

    fn has_failed(&self) -> bool {
        Self::has_failed(self)
    }

    fn keep(self) -> anyhow::Result<()> {
        Ok(Self::keep(self)?)
    }

    fn detach(self) -> anyhow::Result<()> {
        Ok(Self::detach(self)?)
    }
}
