//! `run`: the switch, in the foreground.

use std::sync::Arc;

use anyhow::Context;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::SwitchArgs,
    config::OnExit,
    control::{bind_socket, serve},
    metrics,
    net::link::{self, LinkEvent},
    switch::{Switch, WATCH},
    types::InstanceName,
};

/// Runs a switch until SIGINT or SIGTERM.
pub fn run(instance: &InstanceName, args: SwitchArgs) -> anyhow::Result<()> {
    let config = args.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        // First of all: from here on no other agent is this instance.
        let socket = bind_socket(instance)?;
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let mut links = link::watch()?;
        let metrics = match config.metrics {
            Some(address) => Some(metrics::listen(address).await?),
            None => None,
        };
        let mut switch = Switch::start(&config, instance)?;
        let end = CancellationToken::new();
        let backend = switch.backend()?;
        let mut servers = JoinSet::new();
        servers.spawn(serve(
            socket,
            Arc::clone(&backend),
            end.clone().cancelled_owned(),
        ));
        if let Some(listener) = metrics {
            servers.spawn(metrics::serve(
                listener,
                backend,
                end.clone().cancelled_owned(),
            ));
        }
        tracing::info!(%instance, ports = switch.ports.len(), sites = config.sites.len(), "ready");

        let mut watch = tokio::time::interval(WATCH);
        let failed = loop {
            tokio::select! {
                _ = interrupt.recv() => break false,
                _ = terminate.recv() => break false,
                event = links.next() => report(&switch, event),
                _ = watch.tick() => {
                    if let Some(words) = &mut switch.words {
                        words.flush();
                    }
                    if switch.has_failed() {
                        break true;
                    }
                }
            }
        };
        end.cancel();
        while let Some(ended) = servers.join_next().await {
            ended.context("a server's task")??;
        }
        // A learner that failed is like an agent that was killed: the datapath goes on, and the
        // next run takes over.
        if failed || config.on_exit == OnExit::Keep {
            switch.keep()?
        } else {
            switch.detach()?
        }
        Ok(())
    })
}

/// Says what happens to the switch's ports.
fn report(switch: &Switch, event: Result<LinkEvent, link::LinkError>) {
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
