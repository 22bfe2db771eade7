//! The socket's file: making it, and telling a dead instance's from a live
//! one's.

use std::{
    fs::{DirBuilder, File},
    io::{self, ErrorKind},
    os::{
        fd::AsRawFd,
        unix::{
            fs::DirBuilderExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use nix::sys::{
    socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket,
        sockopt::PeerCredentials,
    },
    stat::{Mode, fchmod},
};

use super::{DIRECTORY, socket_path};
use crate::types::InstanceName;

/// The socket of an instance. As long as it is held no other agent can be the
/// same instance; the file goes with it.
#[derive(Debug)]
pub struct ControlSocket {
    // The file goes before the listener: once nothing listens, another agent
    // may have put its own file there.
    file: SocketFile,
    pub(super) listener: UnixListener,
    pub(super) instance: InstanceName,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(
                "cannot remove the control socket {}: {error}",
                self.0.display()
            );
        }
    }
}

impl ControlSocket {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.0
    }
}

/// Why an instance could not have its socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another agent is this instance.
    #[error("instance {instance} is already running{}; stop it first, or give this one another --instance", pid_text(*.pid))]
    Running {
        /// The instance.
        instance: InstanceName,
        /// Its process, unless that is in a PID namespace out of sight.
        pid: Option<i32>,
    },
    /// The directory of all sockets.
    #[error("cannot make the directory {} for control sockets: {source}; the switch runs as root", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The socket itself.
    #[error("cannot make the control socket {}: {source}; the switch runs as root, and nothing else may be at that path", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn pid_text(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// Makes the control socket of an instance. What a dead agent left is
/// replaced; a live one is [`SocketError::Running`].
pub fn bind_socket(instance: &InstanceName) -> Result<ControlSocket, SocketError> {
    bind_socket_in(Path::new(DIRECTORY), instance)
}

/// The same in another directory.
pub(super) fn bind_socket_in(
    directory: &Path,
    instance: &InstanceName,
) -> Result<ControlSocket, SocketError> {
    // Two agents that start together must not both find the other's socket
    // dead. The lock is on the directory so that no file is left behind.
    let _lock = open_locked(directory).map_err(|source| SocketError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    let path = socket_path(directory, instance);
    let failed = |source| SocketError::Bind {
        path: path.clone(),
        source,
    };
    match UnixStream::connect(&path) {
        Ok(stream) => {
            return Err(SocketError::Running {
                instance: instance.clone(),
                pid: listener_pid(&stream),
            });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            tracing::info!(
                "removing the control socket of an agent that died: {}",
                path.display()
            );
            std::fs::remove_file(&path).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    let listener = listen_at(&path).map_err(failed)?;
    Ok(ControlSocket {
        file: SocketFile(path),
        listener,
        instance: instance.clone(),
    })
}

fn open_locked(directory: &Path) -> io::Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let directory = File::open(directory)?;
    directory.lock()?;
    Ok(directory)
}

/// The process that listens at the other end.
fn listener_pid(stream: &UnixStream) -> Option<i32> {
    getsockopt(stream, PeerCredentials)
        .ok()
        .map(|peer| peer.pid())
        .filter(|pid| *pid > 0)
}

fn listen_at(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // The file takes over the socket's mode, so there is no moment in which
    // others could connect, and no umask to change for the whole process.
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&fd, Backlog::new(64)?)?;
    Ok(UnixListener::from(fd))
}
