//! Packages of Debian, fetched by a private apt and unpacked, never installed.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

mod apt;
mod mirror;

pub(crate) use apt::Apt;
pub(crate) use mirror::codename;

use crate::Cache;

/// What of Debian's archives a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 11: its security archive only, because the rest leaves the mirrors first.
    BullseyeSecurity,
    /// Debian 12, with its security archive.
    Bookworm,
    /// Debian 12's newer kernels.
    BookwormBackports,
    /// Debian 13, with its security archive.
    Trixie,
    /// Debian 13's newer kernels.
    TrixieBackports,
}

impl Suite {
    /// All of them, oldest kernel first.
    pub const ALL: [Self; 5] = [
        Self::BullseyeSecurity,
        Self::Bookworm,
        Self::BookwormBackports,
        Self::Trixie,
        Self::TrixieBackports,
    ];

    /// As Debian calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BullseyeSecurity => "bullseye-security",
            Self::Bookworm => "bookworm",
            Self::BookwormBackports => "bookworm-backports",
            Self::Trixie => "trixie",
            Self::TrixieBackports => "trixie-backports",
        }
    }

    fn sources(self) -> Vec<Source> {
        let main = |name: &str| Source::new(Archive::Main, name);
        let security = |name: &str| Source::new(Archive::Security, name);
        match self {
            Self::BullseyeSecurity => vec![security("bullseye-security")],
            Self::Bookworm => vec![main("bookworm"), security("bookworm-security")],
            Self::BookwormBackports => vec![main("bookworm-backports")],
            Self::Trixie => vec![main("trixie"), security("trixie-security")],
            Self::TrixieBackports => vec![main("trixie-backports")],
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The mirror has a suite no more: Debian moves old ones to an archive of their own. Found in an
/// [`anyhow::Error`] by `downcast_ref`; every other error means that something is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mirror has no {suite} any more")]
pub struct Left {
    /// Debian's name of the suite.
    pub suite: String,
}

/// One of Debian's two hosts of packages, which mirrors keep apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archive {
    Main,
    Security,
}

/// A line of apt's list of sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    archive: Archive,
    suite: String,
}

impl Source {
    pub(crate) fn new(archive: Archive, suite: &str) -> Self {
        Self {
            archive,
            suite: suite.to_owned(),
        }
    }
}

/// Unpacks the packages that `choose` names, once, and lets `finish` add to them: `target/vm/debian/SUITE/NAME`.
///
/// # Errors
/// [`Left`], and when apt fails.
pub(crate) fn unpacked(
    cache: &Cache,
    suite: Suite,
    name: &str,
    choose: impl FnOnce(&Apt) -> Result<Vec<String>>,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    cache.once(&format!("debian/{suite}/{name}"), |dir| {
        eprintln!("fetching {name} of Debian's {suite}, once");
        let apt = Apt::update(cache, suite.name(), &suite.sources())?;
        let packages = choose(&apt)?;
        unpack_all(&apt.download(&packages)?, dir)?;
        finish(dir)
    })
}

/// A statically linked busybox: a guest's shell and tools in one file.
///
/// # Errors
/// As for every package: [`Left`], and when apt fails.
pub fn busybox(cache: &Cache) -> Result<PathBuf> {
    let name = "busybox-static";
    let itself = |_: &Apt| Ok(vec![name.to_owned()]);
    let root = unpacked(cache, Suite::Bookworm, name, itself, |_| Ok(()))?;
    // Where it is depends on whether the release has merged /bin into /usr/bin.
    ["usr/bin/busybox", "bin/busybox"]
        .into_iter()
        .map(|path| root.join(path))
        .find(|path| path.is_file())
        .with_context(|| format!("there is no busybox in {}", root.display()))
}

/// Unpacks packages into a directory, as `dpkg-deb -x` does: no script of theirs runs.
pub(crate) fn unpack_all(packages: &Path, root: &Path) -> Result<()> {
    let mut count = 0;
    for entry in fs::read_dir(packages).with_context(|| format!("read {}", packages.display()))? {
        let package = entry?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            run(Command::new("dpkg-deb").arg("-x").args([&package, root]))?;
            count += 1;
        }
    }
    if count == 0 {
        bail!("apt has downloaded nothing into {}", packages.display());
    }
    fs::remove_dir_all(packages).with_context(|| format!("remove {}", packages.display()))
}

/// Runs a program to its end and returns what it wrote to stdout; what else it wrote is in the error.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    // Messages are searched, so they are to be in one language.
    let output = command.env("LC_ALL", "C").output().with_context(|| {
        format!("start {program} (Debian's kernels are fetched with apt-get and dpkg-deb)")
    })?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let arguments: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy())
            .collect();
        bail!(
            "`{program} {}` failed: {}\n{}{}",
            arguments.join(" "),
            output.status,
            stdout,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(stdout)
}
