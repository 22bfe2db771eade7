//! A network namespace that exists only as long as this process holds it.

use std::{
    any::Any,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    os::unix::process::CommandExt,
    panic::resume_unwind,
    path::PathBuf,
    process::{self, Command},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns, unshare};

use crate::net;

/// Numbers the namespaces of this process, so that their names are unique.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace without a name in the file system.
///
/// It is created with unshare(2) and kept by an open descriptor alone: the kernel removes it when
/// the last clone of this value, the last process and the last socket in it are gone, so that
/// even a killed test leaves nothing behind. Cloning is cheap and means the same namespace.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    file: File,
}

impl Namespace {
    /// Creates a namespace in which `lo` is up, and every other interface has no IPv6 and sends
    /// nothing of its own accord; [`Namespace::enable_ipv6`] makes one that of a host.
    ///
    /// # Errors
    /// When the kernel refuses, which is mostly a lack of privilege.
    pub fn new(label: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("swt-{}-{number}-{label}", process::id());
        // Only the calling thread changes its namespace, and this one ends at once.
        let file = thread::scope(|scope| {
            scope
                .spawn(|| {
                    unshare(CloneFlags::CLONE_NEWNET).context("unshare(CLONE_NEWNET)")?;
                    // `thread-self`, because /proc/self is the main thread.
                    File::open("/proc/thread-self/ns/net").context("open /proc/thread-self/ns/net")
                })
                .join()
        })
        .unwrap_or_else(|panic| resume_unwind(panic))
        .with_context(|| format!("create network namespace {name} (the lab needs root)"))?;
        let namespace = Self(Arc::new(Inner { name, file }));
        net::sysctl::quiet(&namespace)?;
        namespace.set_up("lo")?;
        Ok(namespace)
    }

    /// The unique name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// A path to the namespace for programs such as `nsenter --net=PATH`, valid while this
    /// process holds the namespace.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", process::id(), self.0.file.as_raw_fd()).into()
    }

    /// The number by which the kernel tells namespaces apart: the inode of `/proc/…/ns/net`.
    ///
    /// # Errors
    /// When the descriptor cannot be asked, which does not happen to an open one.
    pub fn inode(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        let metadata = self
            .0
            .file
            .metadata()
            .with_context(|| format!("stat {}", self.name()))?;
        Ok(metadata.ino())
    }

    /// Runs `work` in a fresh thread inside the namespace and gives back what it returns.
    ///
    /// Sockets that `work` opens belong to the namespace for good and may leave the closure.
    ///
    /// # Panics
    /// As `work` does, and when the thread cannot be started in the namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            thread::Builder::new()
                .name(self.thread_name())
                .spawn_scoped(scope, || {
                    self.enter();
                    work()
                })
                .unwrap_or_else(|error| panic!("start a thread for {}: {error}", self.name()))
                .join()
                .unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Starts `work` in a thread of its own inside the namespace.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>> {
        let namespace = self.clone();
        thread::Builder::new()
            .name(self.thread_name())
            .spawn(move || {
                namespace.enter();
                work()
            })
            .with_context(|| format!("start a thread in {}", self.name()))
    }

    /// A command that will start inside the namespace.
    ///
    /// Unlike `ip netns exec` it changes nothing else: `/sys/fs/bpf` stays visible.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let inner = Arc::clone(&self.0);
        let enter = move || setns(&inner.file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
        // SAFETY: between fork and exec the closure makes one system call on a descriptor that
        // it keeps open itself; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Moves the calling thread into the namespace.
    fn enter(&self) {
        if let Err(error) = setns(&self.0.file, CloneFlags::CLONE_NEWNET) {
            panic!("enter network namespace {}: {error}", self.name());
        }
    }

    /// The kernel shows 15 characters of a thread's name: the part after `swt-PID-` says more.
    fn thread_name(&self) -> String {
        self.name()
            .splitn(3, '-')
            .last()
            .unwrap_or("swt")
            .to_owned()
    }

    /// Writes a file below `/proc/sys`, whose `net` part is the writing thread's namespace's.
    ///
    /// # Errors
    /// When the file is not there or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{key}");
        self.run(|| fs::write(&path, value))
            .with_context(|| format!("write {value:?} to {path} in {}", self.name()))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

/// Joins a thread of the lab and hands on its error; a panic becomes an error too, so that it can
/// be told from the panic of the test itself.
pub(crate) fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    let name = thread.thread().name().unwrap_or("unnamed").to_owned();
    thread
        .join()
        .map_err(|panic| anyhow!("thread {name} panicked: {}", panic_text(&*panic)))?
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
