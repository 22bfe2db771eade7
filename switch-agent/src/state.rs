//! What a running instance has changed on its ports, written down before it is changed, so that
//! whoever comes after a killed agent can put it back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{net::netns, ports::Changes, types::InstanceName};

/// The file of an instance. Like the pins, it is gone after a reboot.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// What stands in it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The network namespace that the ports are in.
    pub namespace: String,
    /// What to put back.
    pub ports: Vec<Changes>,
}

/// Why the note of an instance cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The ports are not where we are.
    #[error(
        "the ports of instance {instance} are in the network namespace {theirs}, this is {ours}; \
         run the command there, for example with `nsenter --net=FILE`; if that namespace is gone, \
         remove {}", path.display()
    )]
    Elsewhere {
        /// The instance.
        instance: InstanceName,
        /// Its namespace.
        theirs: String,
        /// Ours.
        ours: String,
        /// The note.
        path: PathBuf,
    },
}

impl State {
    /// A note about ports of the network namespace of this thread.
    pub fn here(ports: Vec<Changes>) -> Result<Self, StateError> {
        Ok(Self {
            namespace: here()?,
            ports,
        })
    }
}

fn here() -> Result<String, StateError> {
    let error = |source| StateError::File {
        verb: "read the network namespace from",
        path: "/proc/thread-self/ns/net".into(),
        source,
    };
    netns::current().map(|id| id.to_string()).map_err(error)
}

impl StateFile {
    /// The file of an instance.
    pub fn of(instance: &InstanceName) -> Self {
        Self {
            path: Path::new("/run/switch-agent").join(format!("{instance}.ports")),
        }
    }

    fn error(&self, verb: &'static str) -> impl FnOnce(io::Error) -> StateError {
        let path = self.path.clone();
        move |source| StateError::File { verb, path, source }
    }

    /// Reads it; nothing where there is none.
    ///
    /// # Errors
    /// It is about ports of another network namespace, or cannot be read.
    pub fn read(&self, instance: &InstanceName) -> Result<Option<State>, StateError> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(self.error("read"))?,
        };
        let state: State =
            serde_json::from_str(&text).map_err(|error| self.error("read")(error.into()))?;
        let ours = here()?;
        if state.namespace != ours {
            let (instance, theirs) = (instance.clone(), state.namespace);
            return Err(StateError::Elsewhere {
                instance,
                theirs,
                ours,
                path: self.path.clone(),
            });
        }
        Ok(Some(state))
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, state: &State) -> Result<(), StateError> {
        let text =
            serde_json::to_string(state).map_err(|error| self.error("write")(error.into()))?;
        let draft = self.draft();
        fs::write(&draft, text).map_err(self.error("write"))?;
        fs::rename(&draft, &self.path).map_err(self.error("write"))
    }

    /// Where it is written before it is whole.
    fn draft(&self) -> PathBuf {
        self.path.with_extension("ports.new")
    }

    /// Removes it, and the draft of an agent that was killed while it wrote.
    pub fn remove(&self) -> Result<(), StateError> {
        for path in [&self.path, &self.draft()] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.error("remove")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
