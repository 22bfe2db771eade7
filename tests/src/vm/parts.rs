//! The files that guests are made of.

use std::{io::Write, path::Path, process::Command, sync::Arc};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;
use vm::{Cache, Flavour, Initramfs, Kernel, Qemu, Suite};

use super::Card;

/// QEMU, a kernel and the guest's files. A clone shares them.
#[derive(Clone, Debug)]
pub struct Parts {
    qemu: Qemu,
    kernel: Arc<Kernel>,
    initramfs: Arc<NamedTempFile>,
}

impl Parts {
    /// Puts them together, for a guest with such a card whose init is `program`. What is not in
    /// `target/vm` yet is fetched.
    ///
    /// # Errors
    /// When something cannot be fetched, or `program` is not there.
    pub fn new(card: Card, program: &Path) -> Result<Self> {
        let cache = Cache::of_workspace()?;
        let (flavour, driver) = match card {
            Card::Virtio | Card::VirtioOffloading | Card::VirtioSilent => {
                (Flavour::Cloud, "virtio_net")
            }
            Card::E1000 => (Flavour::Generic, "e1000"),
        };
        let kernel = Kernel::of(&cache, Suite::Bookworm, flavour)?;
        let mut files = Initramfs::new();
        files.program("/init", program)?;
        files.modules(kernel.modules(&["virtio_pci", driver])?);
        let mut initramfs = NamedTempFile::new().context("make a file for an initramfs")?;
        initramfs
            .write_all(&files.archive()?)
            .context("write an initramfs")?;
        Ok(Self {
            qemu: Qemu::find(&cache)?,
            kernel: Arc::new(kernel),
            initramfs: Arc::new(initramfs),
        })
    }

    pub(super) fn qemu(&self) -> &Qemu {
        &self.qemu
    }

    /// Has a QEMU boot the guest.
    pub(super) fn boot(&self, command: &mut Command) {
        command.arg("-kernel").arg(self.kernel.image());
        command.arg("-initrd").arg(self.initramfs.path());
    }
}
