//! Which QEMU there is, and what it can do.
//!
//! QEMU 7.2 gets the flags after cmpxchg16b wrong where it emulates the processor, so Debian 12's own is no
//! use; 8 and later are right.

use std::{
    env,
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    Cache,
    debian::{self, Apt, Archive, Source, run},
};

const PROGRAM: &str = "qemu-system-x86_64";

const PACKAGE: &str = "qemu-system-x86";

/// The oldest major version we use.
const OLDEST: u32 = 8;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// Software: about ten times slower.
    Tcg,
}

/// A QEMU for x86-64 that works here.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: PathBuf,
    /// Where an unpacked one has its libraries and firmware; none for the machine's own.
    root: Option<PathBuf>,
    version: String,
    accelerator: Accelerator,
}

impl Qemu {
    /// The machine's own if it is new enough, and otherwise that of the backports of the Debian this is,
    /// unpacked in the cache.
    ///
    /// # Errors
    /// When this machine is no Debian and has none, when apt fails, and when QEMU does not start.
    pub fn find(cache: &Cache) -> Result<Self> {
        if let Some(own) = own() {
            return Ok(own);
        }
        let root = fetch(cache)?;
        let mut qemu = Self {
            program: root.join("usr/bin").join(PROGRAM),
            root: Some(root),
            version: String::new(),
            accelerator: Accelerator::Tcg,
        };
        qemu.version = qemu.ask_version()?;
        ensure!(
            major(&qemu.version) >= Some(OLDEST),
            "{} is version {:?}, and we need {OLDEST} or later",
            qemu.program.display(),
            qemu.version
        );
        qemu.accelerator = qemu.try_accelerator();
        Ok(qemu)
    }

    /// The program to run, after [`Qemu::prepare`].
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Such as `10.0.2`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What works here; it was tried.
    #[must_use]
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// Gives a command of [`Qemu::program`] what it needs to start: libraries and firmware, and the processor
    /// (`-accel`, `-cpu`). The command may be one that starts in a namespace.
    pub fn prepare(&self, command: &mut Command) {
        self.prepare_files(command);
        match self.accelerator {
            Accelerator::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
            Accelerator::Tcg => command.args(["-accel", "tcg,thread=multi", "-cpu", "max"]),
        };
    }

    fn prepare_files(&self, command: &mut Command) {
        let Some(root) = &self.root else { return };
        command.env("LD_LIBRARY_PATH", library_path(root));
        for data in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(root.join(data));
        }
    }

    fn ask_version(&self) -> Result<String> {
        let mut ask = Command::new(&self.program);
        self.prepare_files(&mut ask);
        let said = run(ask.arg("--version"))?;
        version(&said)
            .map(str::to_owned)
            .with_context(|| format!("{} says {said:?}", self.program.display()))
    }

    /// `/dev/kvm` may be there and of no use, so a machine is started.
    fn try_accelerator(&self) -> Accelerator {
        let mut machine = Command::new(&self.program);
        self.prepare_files(&mut machine);
        machine
            .args(["-accel", "kvm", "-cpu", "host", "-machine", "q35"])
            .args(["-S", "-nodefaults", "-display", "none", "-monitor", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let works = machine.spawn().is_ok_and(|mut child| {
            if let Some(mut monitor) = child.stdin.take() {
                // One that did not start does not read it, and its status tells.
                drop(monitor.write_all(b"quit\n"));
            }
            child.wait().is_ok_and(|status| status.success())
        });
        if works {
            Accelerator::Kvm
        } else {
            Accelerator::Tcg
        }
    }
}

/// The one on PATH, if it is new enough.
fn own() -> Option<Qemu> {
    let path = env::var_os("PATH")?;
    let program = env::split_paths(&path)
        .map(|dir| dir.join(PROGRAM))
        .find(|program| program.is_file())?;
    let mut qemu = Qemu {
        program,
        root: None,
        version: String::new(),
        accelerator: Accelerator::Tcg,
    };
    qemu.version = qemu.ask_version().ok()?;
    if major(&qemu.version) < Some(OLDEST) {
        return None;
    }
    qemu.accelerator = qemu.try_accelerator();
    Some(qemu)
}

/// Unpacks QEMU and what it needs that this machine has not installed.
fn fetch(cache: &Cache) -> Result<PathBuf> {
    let (codename, distribution) = debian::codename()?;
    if distribution != "debian" {
        bail!("there is no {PROGRAM} of version {OLDEST} or later; apt-get install {PACKAGE}");
    }
    cache.once(&format!("qemu/{codename}"), |dir| {
        eprintln!("fetching QEMU of Debian's {codename}-backports, once");
        let backports = format!("{codename}-backports");
        let sources = [
            Source::new(Archive::Main, &codename),
            Source::new(Archive::Security, &format!("{codename}-security")),
            Source::new(Archive::Main, &backports),
        ];
        let apt = Apt::update(cache, &format!("{codename}-with-backports"), &sources)?;
        debian::unpack_all(&apt.download_closure(PACKAGE, &backports)?, dir)
    })
}

fn library_path(root: &Path) -> OsString {
    let dirs = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| root.join(dir));
    // A target directory with a colon in its name is refused by the build before.
    env::join_paths(dirs).unwrap_or_default()
}

/// From `QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)`.
fn version(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("version ")?;
    rest.split_whitespace().next()
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let said = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright …\n";
        assert_eq!(version(said), Some("10.0.2"));
        assert_eq!(major("10.0.2"), Some(10));
        assert_eq!(major("unknown"), None);
    }
}
