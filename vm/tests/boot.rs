//! What was fetched works together: QEMU boots a kernel of Debian with our initramfs.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use vm::{Cache, Flavour, Initramfs, Kernel, Qemu, Suite};

const INIT: &str = "#!/bin/busybox sh
set -e
busybox mount -t proc proc /proc
for module in /modules/*; do busybox insmod $module; done
echo up $(busybox uname -r): $(busybox cut -d' ' -f1 /proc/modules)
busybox reboot -f
";

#[test]
fn a_kernel_boots_and_loads_modules() -> Result<()> {
    let cache = Cache::of_workspace()?;
    let qemu = Qemu::find(&cache)?;
    let kernel = Kernel::of(&cache, Suite::Bookworm, Flavour::Cloud)?;
    let mut initramfs = Initramfs::new();
    initramfs.program("/bin/busybox", &vm::debian::busybox(&cache)?)?;
    initramfs.directory("/proc");
    initramfs.file("/init", 0o755, INIT);
    initramfs.modules(kernel.modules(&["veth", "bridge"])?);
    let archive = tempfile::NamedTempFile::new()?;
    std::fs::write(&archive, initramfs.archive()?)?;

    let mut machine = Command::new(qemu.program());
    qemu.prepare(&mut machine);
    let output = machine
        // Not microvm, with whose ACPI tables Linux 6.1 dies within its first second, two times in three.
        .args(["-machine", "pc", "-m", "256", "-no-reboot"])
        .args(["-nodefaults", "-display", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel.image())
        .arg("-initrd")
        .arg(archive.path())
        // Triple fault is a reboot that every machine has; a panic is one, too.
        .args(["-append", "console=ttyS0 quiet panic=-1 reboot=t"])
        .stdin(Stdio::null())
        .output()
        .context("start QEMU")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!("up {}: bridge stp llc veth", kernel.release());
    assert!(
        said.contains(&expected),
        "no {expected:?} in:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
