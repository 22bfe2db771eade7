//! Where an instance's maps and links are pinned, so that they outlive the agent.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::programs::links::{FdLink, PinnedLink};
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::{DatapathError, leave::leave};
use crate::types::{InstanceName, PortName};

/// The file system that keeps BPF objects.
const BPFFS: &str = "/sys/fs/bpf";

/// The directory of one instance.
#[derive(Clone, Debug)]
pub struct Pins {
    directory: PathBuf,
}

impl Pins {
    /// The place of an instance's pins; nothing is touched yet.
    pub fn of(instance: &InstanceName) -> Self {
        Self {
            directory: Path::new(BPFFS)
                .join("switch-agent")
                .join(instance.as_str()),
        }
    }

    /// Whether the instance has left anything.
    pub fn exist(&self) -> bool {
        self.directory.is_dir()
    }

    /// The instance's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory of the maps.
    pub fn maps(&self) -> PathBuf {
        self.directory.join("maps")
    }

    /// The pin of a map.
    pub fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    /// The directory of the links.
    pub fn links(&self) -> PathBuf {
        self.directory.join("links")
    }

    /// The pin of a port's link.
    pub fn link(&self, port: &PortName) -> PathBuf {
        // bpffs refuses names with a dot in them, which a VLAN-like port name may have.
        let name = port.as_str().replace('%', "%25").replace('.', "%2e");
        self.links().join(name)
    }

    /// The pin of a tracepoint's link.
    pub fn tracepoint(&self, name: &str) -> PathBuf {
        self.tracepoints().join(name)
    }

    fn tracepoints(&self) -> PathBuf {
        self.directory.join("tracepoints")
    }

    /// Makes the directories, and mounts bpffs where nobody has.
    pub fn create(&self) -> Result<(), DatapathError> {
        mount_bpffs()?;
        for directory in [self.maps(), self.links(), self.tracepoints()] {
            fs::create_dir_all(&directory).map_err(|source| DatapathError::Pins {
                verb: "create",
                path: directory,
                source,
            })?;
        }
        Ok(())
    }

    /// The ids of the programs that the instance has at ports.
    pub fn programs(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(self.links()) else {
            return Vec::new();
        };
        let id = |entry: fs::DirEntry| {
            let link = FdLink::from(PinnedLink::from_pin(entry.path()).ok()?);
            link.info().ok().map(|info| info.program_id())
        };
        entries.flatten().filter_map(id).collect()
    }

    /// Removes the links of all ports but these: the programs have left the others then.
    pub fn keep_links<'a>(
        &self,
        ports: impl Iterator<Item = &'a PortName>,
    ) -> Result<(), DatapathError> {
        let kept: Vec<_> = ports.map(|port| self.link(port)).collect();
        let links = self.links();
        let failed = |source| DatapathError::Pins {
            verb: "read",
            path: links.clone(),
            source,
        };
        for entry in fs::read_dir(&links).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !kept.contains(&path) {
                if let Err(error) = leave(&path) {
                    // The program goes with the pin, a little later.
                    tracing::debug!(link = %path.display(), %error, "cannot detach at once");
                }
                fs::remove_file(&path).map_err(|source| DatapathError::Pins {
                    verb: "remove",
                    path,
                    source,
                })?;
            }
        }
        Ok(())
    }

    /// Removes the links: no program runs any more.
    pub fn remove_links(&self) -> Result<(), DatapathError> {
        self.keep_links(std::iter::empty())
    }

    /// Removes every pin. The programs have left their ports then; what nobody else holds ends with it.
    pub fn remove(&self) -> Result<(), DatapathError> {
        if self.links().is_dir() {
            self.remove_links()?;
        }
        match fs::remove_dir_all(&self.directory) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DatapathError::Pins {
                verb: "remove",
                path: self.directory.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// As bpftool and libbpf do: bpffs is mounted by whoever needs it first.
fn mount_bpffs() -> Result<(), DatapathError> {
    let mounted = statfs(BPFFS).is_ok_and(|stat| stat.filesystem_type() == BPF_FS_MAGIC);
    if mounted {
        return Ok(());
    }
    mount(
        Some("bpf"),
        BPFFS,
        Some("bpf"),
        MsFlags::empty(),
        Some("mode=0700"),
    )
    .map_err(DatapathError::Bpffs)
}
