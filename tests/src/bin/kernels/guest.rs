//! The files of the virtual machine: the test programs that were built for this one, and an init that runs
//! them.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lab::{agent::BINARY, poll::SLOWDOWN};
use tempfile::NamedTempFile;
use vm::{Initramfs, Kernel};

use crate::{
    plan::{self, Expected, MODULES, TESTS, Tests, Version},
    transcript::{DONE, EXITED, RUNS},
};

/// Where the agent is, in the guest.
const AGENT: &str = "/bin/switch-agent";

/// What every guest does first. The control groups are for nobody; `/run` is where the agent has its socket.
const BEGIN: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin RUST_BACKTRACE=0
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
for module in /modules/*; do insmod $module || echo cannot load $module; done
ip link set lo up
";

/// How many times slower than this machine the guest is where the processor is emulated; elsewhere it does no
/// harm.
const SLOWDOWN_FACTOR: u32 = 10;

/// The machine ends as soon as init has said so; nothing is left to be saved.
const END: &str = "reboot -f\n";

/// The two ports that a refusal needs: they are there, so it is not them that the agent complains of.
const PORTS: &str = "ip link add c0 type veth
ip link add t0 type veth
ip link set c0 up
ip link set t0 up
";

/// Where the agent must not start. `check` is asked last, to see that the others have left nothing.
const REFUSALS: [(&str, &str); 3] = [
    ("run", "run --client c0 --site dc1=t0:1"),
    (
        "gateway",
        "gateway --lan c0 --trunk t0:2 --announce-to 224.0.0.1",
    ),
    ("check", "check --client c0 --site dc1=t0:1"),
];

/// What runs in every guest.
pub struct Programs {
    agent: PathBuf,
    tests: Vec<(Tests, PathBuf)>,
}

impl Programs {
    /// Finds those that the plan names.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(agent: PathBuf, built: &[(String, PathBuf)]) -> Result<Self> {
        let find = |tests: Tests| {
            let file = built.iter().find(|(name, _)| name == tests.program);
            let (_, file) = file.with_context(|| {
                format!(
                    "no test program `{}`; start this with `cargo xtask kernels`",
                    tests.program
                )
            })?;
            Ok((tests, file.clone()))
        };
        Ok(Self {
            agent,
            tests: TESTS.into_iter().map(find).collect::<Result<_>>()?,
        })
    }
}

/// The archive that a guest boots with.
pub struct Guest {
    archive: NamedTempFile,
}

impl Guest {
    /// Packs what this kernel needs to do what is expected of it.
    ///
    /// # Errors
    /// When a program or a module is missing.
    pub fn new(
        kernel: &Kernel,
        busybox: &Path,
        programs: &Programs,
        version: Version,
    ) -> Result<Self> {
        let mut files = Initramfs::new();
        for mount in ["/proc", "/sys", "/dev", "/tmp", "/run"] {
            files.directory(mount);
        }
        files.program("/bin/busybox", busybox)?;
        files.program(AGENT, &programs.agent)?;
        files.modules(kernel.modules(&MODULES)?);
        let init = match plan::expected(version) {
            Expected::Refuse => refusals(),
            Expected::Pass => {
                for (tests, file) in &programs.tests {
                    files.program(&format!("/tests/{}", tests.program), file)?;
                }
                tests()
            }
        };
        files.file("/init", 0o755, init);
        let mut archive = NamedTempFile::new().context("create a file for the initramfs")?;
        archive
            .write_all(&files.archive()?)
            .context("write the initramfs")?;
        Ok(Self { archive })
    }

    /// The file for QEMU's `-initrd`.
    pub fn archive(&self) -> &Path {
        self.archive.path()
    }
}

fn tests() -> String {
    let commands = TESTS.iter().map(|tests| {
        let Tests {
            program,
            filters,
            skipped,
            threads,
        } = tests;
        let skipped = skipped.iter().flat_map(|name| ["--skip", name]);
        let filters: Vec<&str> = skipped.chain(filters.iter().copied()).collect();
        let filters = filters.join(" ");
        (
            *program,
            format!("/tests/{program} --test-threads {threads} {filters}"),
        )
    });
    init("", commands)
}

fn refusals() -> String {
    let commands = REFUSALS.iter().map(|(name, arguments)| {
        // An agent that does start instead is ended, and has failed.
        (*name, format!("timeout 60 {AGENT} {arguments}"))
    });
    init(PORTS, commands)
}

/// Each command in turn, between two lines that tell of its begin and its end.
fn init<'a>(prepare: &str, commands: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut script =
        format!("{BEGIN}export {BINARY}={AGENT} {SLOWDOWN}={SLOWDOWN_FACTOR}\n{prepare}");
    for (name, command) in commands {
        // Writing to a String does not fail.
        let _ = write!(
            script,
            "echo; echo \"{RUNS} {name}\"\n{command} 2>&1\nstatus=$?; echo; echo \"{EXITED} {name} $status\"\n"
        );
    }
    script + &format!("echo \"{DONE}\"\n") + END
}
