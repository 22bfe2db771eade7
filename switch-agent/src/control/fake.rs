//! A switch for tests: a real control socket, and behind it something that
//! only remembers what it was told.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use futures::future::{BoxFuture, FutureExt};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Backend, Client, Journal, serve, socket::bind_socket_in, socket_path};
use crate::{
    api::{
        AnyStats, Explanation, Flow, Order,
        tests::{explanation, flow, stats},
    },
    types::{InstanceName, VmAddress},
};

/// A switch that does nothing.
#[derive(Default)]
pub(crate) struct Fake {
    pub(super) journal: Journal,
    pub(super) told: Mutex<Vec<String>>,
}

impl Fake {
    fn note(&self, what: String) -> BoxFuture<'_, Result<(), String>> {
        self.told.lock().expect("no panic").push(what);
        async { Ok(()) }.boxed()
    }
}

impl Backend for Fake {
    fn flows(&self) -> BoxFuture<'_, Result<Vec<Flow>, String>> {
        async { Ok(vec![flow("c0", "dc1=t0:1"), flow("c0", "dc2=t0:2")]) }.boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<AnyStats, String>> {
        async { Ok(stats().into()) }.boxed()
    }

    fn explain(&self, address: VmAddress) -> BoxFuture<'_, Result<Explanation, String>> {
        let explanation = Explanation {
            address,
            ..explanation()
        };
        async { Ok(explanation) }.boxed()
    }

    fn order(&self, order: Order) -> BoxFuture<'_, Result<(), String>> {
        match order {
            Order::Bind {
                address,
                site,
                pinned,
            } => self.note(format!("bind {address} {site} {pinned}")),
            Order::Move { address, site } => self.note(format!("move {address} {site}")),
            Order::Unbind { .. } => panic!("a request that fails badly"),
            Order::Release { address } => {
                async move { Err(format!("{address} is not quarantined")) }.boxed()
            }
        }
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }
}

/// A fake switch serving its socket in a directory of its own.
pub(crate) struct Running {
    pub(super) directory: TempDir,
    pub(crate) fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = bind_socket_in(directory.path(), &InstanceName::default()).expect("a socket");
        let fake = Arc::new(Fake::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let backend = Arc::clone(&fake);
        let serving = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(serve(socket, backend, stopped.map(drop)))
                .expect("served");
        });
        Self {
            directory,
            fake,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new_in(self.directory.path(), InstanceName::default())
    }

    pub(super) fn path(&self) -> PathBuf {
        socket_path(self.directory.path(), &InstanceName::default())
    }

    /// What comes back for these bytes.
    pub(super) fn raw(&self, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path()).expect("connected");
        stream.write_all(request).expect("written");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("shut down");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            serving.join().expect("the server ended well");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}
