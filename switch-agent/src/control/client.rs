//! The command line's end of the control socket.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{DIRECTORY, socket_path};
use crate::{
    api::{AnyStats, Envelope, Explanation, Flow, Order, Request, Response},
    types::{InstanceName, VmAddress},
};

/// How long a running instance may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks a running instance.
#[derive(Debug, Clone)]
pub struct Client {
    instance: InstanceName,
    path: PathBuf,
}

/// Why there is no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No socket.
    #[error("no switch is running as instance {instance} (no socket at {}); start one with `switch-agent{} run`", path.display(), option(instance))]
    NotRunning {
        /// The instance.
        instance: InstanceName,
        /// Its socket.
        path: PathBuf,
    },
    /// A socket, but nobody behind it.
    #[error("no switch is running as instance {instance} (the socket at {} is left from one that died); start one with `switch-agent{} run`", path.display(), option(instance))]
    Died {
        /// The instance.
        instance: InstanceName,
        /// Its socket.
        path: PathBuf,
    },
    /// The socket is root's.
    #[error("may not talk to instance {instance}: {} is root's alone; try again with sudo", path.display())]
    Denied {
        /// The instance.
        instance: InstanceName,
        /// Its socket.
        path: PathBuf,
    },
    /// The connection.
    #[error("cannot talk to instance {instance} at {}: {source}", path.display())]
    Connection {
        /// The instance.
        instance: InstanceName,
        /// Its socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It takes too long.
    #[error("instance {instance} did not answer within {} s; it is stopped or overloaded, see its log", PATIENCE.as_secs())]
    Silent {
        /// The instance.
        instance: InstanceName,
    },
    /// It ended too soon.
    #[error("instance {instance} broke off its answer; it ended or failed meanwhile, see its log")]
    CutOff {
        /// The instance.
        instance: InstanceName,
    },
    /// Not the answer to the question.
    #[error(
        "instance {instance} gave an answer that this program does not understand ({why}); is it of another version? Restart it with this one"
    )]
    Strange {
        /// The instance.
        instance: InstanceName,
        /// What is strange.
        why: String,
    },
    /// It says why it does not do it.
    #[error("{0}")]
    Refused(String),
}

/// The option that names an instance, where one is needed.
fn option(instance: &InstanceName) -> String {
    if *instance == InstanceName::default() {
        String::new()
    } else {
        format!(" --instance {instance}")
    }
}

impl ClientError {
    /// Whether there is no agent, so that only the pinned maps can be asked.
    pub fn is_not_running(&self) -> bool {
        matches!(self, Self::NotRunning { .. } | Self::Died { .. })
    }
}

impl Client {
    /// A client of an instance on this box.
    pub fn new(instance: InstanceName) -> Self {
        Self::new_in(Path::new(DIRECTORY), instance)
    }

    /// A client of an instance whose socket is elsewhere.
    pub(crate) fn new_in(directory: &Path, instance: InstanceName) -> Self {
        let path = socket_path(directory, &instance);
        Self { instance, path }
    }

    /// The flow table.
    pub fn flows(&self) -> Result<Vec<Flow>, ClientError> {
        self.ask(Request::Flows)?
            .map(|response| match response? {
                Response::Flow { flow } => Ok(*flow),
                other => Err(self.strange(&other)),
            })
            .collect()
    }

    /// The counters.
    pub fn stats(&self) -> Result<AnyStats, ClientError> {
        match self.ask(Request::Stats)?.next() {
            Some(Ok(Response::Stats { stats })) => Ok(stats),
            Some(Ok(other)) => Err(self.strange(&other)),
            Some(Err(error)) => Err(error),
            None => Err(self.strange(&Response::Done)),
        }
    }

    /// Why an address is where it is.
    pub fn explain(&self, address: VmAddress) -> Result<Explanation, ClientError> {
        match self.ask(Request::Explain { address })?.next() {
            Some(Ok(Response::Explanation { explanation })) => Ok(*explanation),
            Some(Ok(other)) => Err(self.strange(&other)),
            Some(Err(error)) => Err(error),
            None => Err(self.strange(&Response::Done)),
        }
    }

    /// Has something done.
    pub fn order(&self, order: Order) -> Result<(), ClientError> {
        match self.ask(Request::Order { order })?.next() {
            None => Ok(()),
            Some(Ok(other)) => Err(self.strange(&other)),
            Some(Err(error)) => Err(error),
        }
    }

    /// What happened, and with `follow` what happens: [`Response::Event`] and
    /// [`Response::Missed`].
    pub fn events(&self, follow: bool) -> Result<Answer, ClientError> {
        self.ask(Request::Events { follow })
    }

    fn ask(&self, request: Request) -> Result<Answer, ClientError> {
        let follow = matches!(request, Request::Events { follow: true });
        let mut stream =
            UnixStream::connect(&self.path).map_err(|error| self.unreachable(error))?;
        let failed = |error| self.failed(error);
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        stream
            .set_read_timeout((!follow).then_some(PATIENCE))
            .map_err(failed)?;
        let envelope = Envelope {
            instance: self.instance.clone(),
            request,
        };
        let mut line = serde_json::to_vec(&envelope).map_err(|error| self.failed(error.into()))?;
        line.push(b'\n');
        stream.write_all(&line).map_err(failed)?;
        Ok(Answer {
            client: self.clone(),
            reader: BufReader::new(stream),
            ended: false,
        })
    }

    fn unreachable(&self, error: io::Error) -> ClientError {
        let (instance, path) = (self.instance.clone(), self.path.clone());
        match error.kind() {
            ErrorKind::NotFound => ClientError::NotRunning { instance, path },
            ErrorKind::ConnectionRefused => ClientError::Died { instance, path },
            ErrorKind::PermissionDenied => ClientError::Denied { instance, path },
            _ => ClientError::Connection {
                instance,
                path,
                source: error,
            },
        }
    }

    fn failed(&self, error: io::Error) -> ClientError {
        let instance = self.instance.clone();
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => ClientError::Silent { instance },
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => ClientError::CutOff { instance },
            _ => ClientError::Connection {
                instance,
                path: self.path.clone(),
                source: error,
            },
        }
    }

    /// An answer to another question.
    pub(crate) fn strange(&self, response: &Response) -> ClientError {
        let what = match response {
            Response::Flow { .. } => "a flow",
            Response::Stats { .. } => "counters",
            Response::Explanation { .. } => "an explanation",
            Response::Event { .. } | Response::Missed { .. } => "an event",
            Response::Done => "nothing",
            Response::Error { .. } => "an error",
        };
        ClientError::Strange {
            instance: self.instance.clone(),
            why: format!("it sent {what} that was not asked for"),
        }
    }
}

/// An answer, line by line; it ends where the instance says that it is all.
#[derive(Debug)]
pub struct Answer {
    client: Client,
    reader: BufReader<UnixStream>,
    ended: bool,
}

impl Answer {
    fn read(&mut self) -> Result<Response, ClientError> {
        let mut line = String::new();
        match self
            .reader
            .read_line(&mut line)
            .map_err(|error| self.client.failed(error))?
        {
            0 => Err(ClientError::CutOff {
                instance: self.client.instance.clone(),
            }),
            _ => serde_json::from_str(&line).map_err(|error| ClientError::Strange {
                instance: self.client.instance.clone(),
                why: error.to_string(),
            }),
        }
    }
}

impl Iterator for Answer {
    type Item = Result<Response, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = match self.read() {
            Ok(Response::Done) => None,
            Ok(Response::Error { message }) => Some(Err(ClientError::Refused(message))),
            other => Some(other),
        };
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
