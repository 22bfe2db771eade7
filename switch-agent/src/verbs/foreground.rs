//! What runs in the foreground until it is told to end: a switch or a gateway.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::OnExit,
    control::{Backend, bind_socket, serve},
    metrics,
    net::link::{self, LinkError, LinkEvent},
    switch::WATCH,
    types::InstanceName,
};

/// A running instance.
pub(super) trait Resident: Sized {
    /// Says in the log that it is ready.
    fn say_ready(&self, instance: &InstanceName);

    /// What the control socket asks.
    fn backend(&self) -> anyhow::Result<Arc<dyn Backend>>;

    /// Something happened to a link of the host.
    fn link_event(&mut self, event: Result<LinkEvent, LinkError>);

    /// Looks after itself, now and then.
    fn tick(&mut self);

    /// Whether its thread has ended, which it does by itself only when it fails.
    fn has_failed(&self) -> bool;

    /// Ends the agent and leaves the datapath running.
    fn keep(self) -> anyhow::Result<()>;

    /// Ends the agent and the datapath, and puts the ports back.
    fn detach(self) -> anyhow::Result<()>;
}

/// Runs an instance until SIGINT or SIGTERM.
pub(super) fn foreground<R: Resident>(
    instance: &InstanceName,
    on_exit: OnExit,
    metrics: Option<SocketAddr>,
    start: impl FnOnce() -> anyhow::Result<R>,
) -> anyhow::Result<()> {
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
        let metrics = match metrics {
            Some(address) => Some(metrics::listen(address).await?),
            None => None,
        };
        let mut resident = start()?;
        let end = CancellationToken::new();
        let backend = resident.backend()?;
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
        resident.say_ready(instance);

        let mut watch = tokio::time::interval(WATCH);
        let failed = loop {
            tokio::select! {
                _ = interrupt.recv() => break false,
                _ = terminate.recv() => break false,
                event = links.next() => resident.link_event(event),
                _ = watch.tick() => {
                    resident.tick();
                    if resident.has_failed() {
                        break true;
                    }
                }
            }
        };
        end.cancel();
        while let Some(ended) = servers.join_next().await {
            ended.context("a server's task")??;
        }
        // A thread that failed is like an agent that was killed: the datapath goes on, and the next
        // run takes over.
        if failed || on_exit == OnExit::Keep {
            resident.keep()
        } else {
            resident.detach()
        }
    })
}
