//! `run`: the switch, in the foreground.

use std::sync::Arc;

use super::foreground::{Resident, foreground};
use crate::{
    cli::SwitchArgs,
    control::Backend,
    net::link::{LinkError, LinkEvent},
    switch::Switch,
    types::InstanceName,
};

/// Runs a switch until SIGINT or SIGTERM.
pub fn run(instance: &InstanceName, args: SwitchArgs) -> anyhow::Result<()> {
    let config = args.config()?;
    foreground(instance, config.on_exit, config.metrics, || {
        Ok(Switch::start(&config, instance)?)
    })
}

impl Resident for Switch {
    fn say_ready(&self, instance: &InstanceName) {
        tracing::info!(%instance, ports = self.ports.len(), sites = self.sites, "ready");
    }

    fn backend(&self) -> anyhow::Result<Arc<dyn Backend>> {
        Ok(Self::backend(self)?)
    }

    fn link_event(&mut self, event: Result<LinkEvent, LinkError>) {
        report(self, event);
    }

    fn tick(&mut self) {
        if let Some(words) = &mut self.words {
            words.flush();
        }
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

/// Says what happens to the switch's ports.
fn report(switch: &Switch, event: Result<LinkEvent, LinkError>) {
    let port = |index| switch.ports.iter().find(|port| port.link.index == index);
    match event {
        Ok(LinkEvent::Changed(link)) => {
            let Some(port) = port(link.index) else { return };
            let name = port.name.as_str();
            if !link.up || !link.carrier {
                tracing::warn!(port = name, "the port is down: frames to it are lost");
            }
            if link.mtu != port.link.mtu || link.mac != port.link.mac {
                tracing::warn!(
                    port = name,
                    "MTU or MAC has changed; start the agent anew to use it, which loses nothing \
                     with `--on-exit keep`"
                );
            }
        }
        Ok(LinkEvent::Removed(link)) => {
            if let Some(port) = port(link.index) {
                tracing::error!(
                    port = port.name.as_str(),
                    "the port is gone; start the agent anew when it is back"
                );
            }
        }
        Ok(LinkEvent::Lost) => tracing::warn!("changes of links were missed"),
        Err(error) => tracing::warn!(%error, "cannot watch the ports"),
    }
}
