//! Virtual machines for tests: QEMU, Debian's kernels, small initramfs.
//!
//! All that a machine needs is fetched once into `target/vm` and unpacked there; nothing is installed, and
//! the system's apt and dpkg are only read.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cache`] | directories that are made once, by one process at a time |
//! | [`debian`] | packages of Debian, fetched by a private apt |
//! | [`program`] | which QEMU there is, and what it can do |
//! | [`kernel`] | a kernel of Debian: the ELF image to boot, modules in the order to load them |
//! | [`initramfs`] | the guest's files |
//! | [`qemu`] | a running machine |
//! | [`qmp`] | the protocol that it is operated by |
//!
//! A QEMU to run and a kernel to run in it:
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let cache = vm::Cache::of_workspace()?;
//! let qemu = vm::Qemu::find(&cache)?;
//! let kernel = vm::Kernel::of(&cache, vm::Suite::Bookworm, vm::Flavour::Cloud)?;
//! let mut initramfs = vm::Initramfs::new();
//! initramfs.program("/bin/busybox", &vm::debian::busybox(&cache)?)?;
//! initramfs.file("/init", 0o755, "#!/bin/busybox sh\nexec /bin/busybox reboot -f\n");
//! let mut machine = std::process::Command::new(qemu.program());
//! qemu.prepare(&mut machine);
//! machine.arg("-kernel").arg(kernel.image());
//! # Ok(())
//! # }
//! ```

pub mod cache;
pub mod debian;
mod elf;
pub mod initramfs;
pub mod kernel;
pub mod program;
pub mod qemu;
pub mod qmp;
mod unpack;

pub use cache::Cache;
pub use debian::{Left, Suite};
pub use initramfs::Initramfs;
pub use kernel::{Flavour, Kernel};
pub use program::{Accelerator, Qemu};
pub use qemu::Machine;
pub use qmp::Qmp;
