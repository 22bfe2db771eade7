//! A kernel of Debian: the ELF image to boot, and modules in the order to load them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{Cache, Suite, debian, elf, unpack::unpack};

/// For which machines Debian has built a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Virtual ones: small, with virtio but without real cards' drivers.
    Cloud,
    /// All: with e1000 and other cards, and three times the download.
    Generic,
}

impl Flavour {
    /// The package that depends on the newest kernel of its suite.
    fn newest(self) -> &'static str {
        match self {
            Self::Cloud => "linux-image-cloud-amd64",
            Self::Generic => "linux-image-amd64",
        }
    }
}

/// The kernel itself, taken out of the compressed image.
const IMAGE: &str = "vmlinux";

/// An unpacked kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    suite: Suite,
    release: String,
    image: PathBuf,
    /// Files by the name that the kernel gives the module.
    modules: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

/// A module as the kernel takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// As `lsmod` shows it.
    pub name: String,
    /// The ELF file, not compressed.
    pub file: Vec<u8>,
}

impl Kernel {
    /// The newest kernel of a suite, at the time it was fetched.
    ///
    /// # Errors
    /// [`crate::Left`] when the mirror has the suite no more; when apt fails; when the packages are not what
    /// they were in any release until now.
    pub fn of(cache: &Cache, suite: Suite, flavour: Flavour) -> Result<Self> {
        let newest = flavour.newest();
        let dir = debian::unpacked(
            cache,
            suite,
            newest,
            |apt| Ok(kernel_packages(&apt.depends(newest)?)),
            take_image_out,
        )?;
        Self::read(suite, &dir).with_context(|| format!("read the kernel in {}", dir.display()))
    }

    fn read(suite: Suite, dir: &Path) -> Result<Self> {
        let of_release = modules_dir(dir)?;
        let release = of_release
            .file_name()
            .context("a release has a name")?
            .to_string_lossy()
            .into_owned();
        let mut modules = BTreeMap::new();
        find_modules(&of_release.join("kernel"), &mut modules)?;
        let listed = of_release.join("modules.builtin");
        let listed =
            fs::read_to_string(&listed).with_context(|| format!("read {}", listed.display()))?;
        Ok(Self {
            suite,
            release,
            image: dir.join(IMAGE),
            modules,
            built_in: listed
                .lines()
                .filter_map(|l| module_name(Path::new(l)))
                .collect(),
        })
    }

    /// The suite it is from.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// As `uname -r` will say.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The ELF file for QEMU's `-kernel`: it is entered by PVH, which saves the boot the decompression. That
    /// takes longer than all the rest where the processor is emulated.
    #[must_use]
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// These modules and those they need, in the order to load them; what is built in is left out.
    ///
    /// # Errors
    /// When the kernel has no such module.
    pub fn modules(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut loaded = Vec::new();
        for name in names {
            self.load(name, &mut loaded)
                .with_context(|| format!("find module {name} of kernel {}", self.release))?;
        }
        Ok(loaded)
    }

    fn load(&self, name: &str, loaded: &mut Vec<Module>) -> Result<()> {
        if self.built_in.contains(name) || loaded.iter().any(|module| module.name == name) {
            return Ok(());
        }
        let path = self
            .modules
            .get(name)
            .with_context(|| format!("there is no {name}, neither built in nor as a module"))?;
        let packed = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let file = unpack(&packed).with_context(|| format!("read {}", path.display()))?;
        for needed in elf::depends(&file)? {
            self.load(&needed, loaded)?;
        }
        loaded.push(Module {
            name: name.to_owned(),
            file,
        });
        Ok(())
    }
}

/// Of all that the newest kernel depends on, what has its files: initramfs builders and the like are for
/// installing it. Since 7.0 the image is in one package and its modules are in another.
fn kernel_packages(depends: &[String]) -> Vec<String> {
    let parts = [
        "linux-image-",
        "linux-binary-",
        "linux-modules-",
        "linux-base-",
    ];
    let is_part = |name: &String| {
        parts.iter().any(|part| {
            name.strip_prefix(part)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    depends
        .iter()
        .filter(|name| is_part(name))
        .cloned()
        .collect()
}

/// Writes the kernel's ELF file beside what was unpacked, and removes what it was in.
fn take_image_out(dir: &Path) -> Result<()> {
    let release = modules_dir(dir)?;
    let release = release.file_name().context("a release has a name")?;
    let name = format!("vmlinuz-{}", release.display());
    let places = [
        dir.join("boot").join(&name),
        dir.join("usr/lib/modules").join(release).join("vmlinuz"),
    ];
    let packed = places
        .iter()
        .find(|path| path.is_file())
        .with_context(|| format!("there is no {name} in {}", dir.display()))?;
    let image = fs::read(packed).with_context(|| format!("read {}", packed.display()))?;
    let elf = payload(&image)
        .and_then(unpack)
        .with_context(|| format!("take the kernel out of {}", packed.display()))?;
    ensure!(
        elf.starts_with(b"\x7fELF"),
        "{} has no ELF file in it",
        packed.display()
    );
    let image = dir.join(IMAGE);
    fs::write(&image, elf).with_context(|| format!("write {}", image.display()))
}

/// The compressed kernel in a bzImage (the kernel's Documentation/arch/x86/boot.rst, protocol 2.08 of 2007).
fn payload(image: &[u8]) -> Result<&[u8]> {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let field = image.get(at..at + bytes)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    ensure!(image.get(0x202..0x206) == Some(b"HdrS"), "it is no bzImage");
    let found = (|| {
        if number(0x206, 2)? < 0x208 {
            return None;
        }
        // For old boot loaders 0 means 4; the boot sector comes before them.
        let sectors = match number(0x1f1, 1)? {
            0 => 4,
            sectors => sectors,
        };
        let start = (sectors + 1) * 512 + number(0x248, 4)?;
        let payload = image.get(start..start + number(0x24c, 4)?)?;
        // The last four bytes are the size of what is in it, added by the build for the kernel's own use.
        payload.split_last_chunk::<4>().map(|(payload, _)| payload)
    })();
    found.context("its header does not say where the compressed kernel is")
}

/// `lib/modules/RELEASE`, in `usr` or not: that depends on the Debian release.
fn modules_dir(dir: &Path) -> Result<PathBuf> {
    for place in ["usr/lib/modules", "lib/modules"] {
        let place = dir.join(place);
        let first = fs::read_dir(&place).ok().and_then(|mut all| all.next());
        if let Some(entry) = first {
            return Ok(entry
                .with_context(|| format!("read {}", place.display()))?
                .path());
        }
    }
    bail!("there is no lib/modules in {}", dir.display())
}

fn find_modules(dir: &Path, found: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find_modules(&path, found)?;
        } else if let Some(name) = module_name(&path) {
            found.insert(name, path);
        }
    }
    Ok(())
}

/// The kernel's name for a module's file: `kernel/net/sched/sch-x.ko.xz` is `sch_x`.
fn module_name(path: &Path) -> Option<String> {
    let (name, rest) = path.file_name()?.to_str()?.split_once('.')?;
    (rest == "ko" || rest.starts_with("ko.")).then(|| name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage of two sectors of set-up, with the payload 16 bytes into what follows.
    fn bz_image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 3 * 512 + 16];
        image[0x1f1] = 2;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
        image.extend(payload);
        image.extend(77_u32.to_le_bytes());
        image
    }

    #[test]
    fn the_header_says_where_the_kernel_is() -> Result<()> {
        let image = bz_image(b"compressed");
        assert_eq!(payload(&image)?, b"compressed");
        assert!(payload(&image[..image.len() - 1]).is_err(), "cut off");
        assert!(payload(b"MZ").is_err());
        Ok(())
    }

    #[test]
    fn files_have_the_kernels_names() {
        let name = |path| module_name(Path::new(path));
        assert_eq!(
            name("kernel/net/sched/sch-netem.ko.xz").as_deref(),
            Some("sch_netem")
        );
        assert_eq!(name("kernel/drivers/net/veth.ko").as_deref(), Some("veth"));
        assert_eq!(name("modules.order"), None);
    }

    #[test]
    fn only_packages_with_files_of_the_kernel_are_fetched() {
        let depends = [
            "linux-image-cloud-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
            "linux-base",
            "initramfs-tools",
        ];
        let depends = depends.map(str::to_owned);
        assert_eq!(kernel_packages(&depends), depends[1..3]);
    }
}
