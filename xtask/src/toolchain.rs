//! The Rust toolchain in use, and the LLVM inside it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{exec, paths};

/// The toolchain that `rust-toolchain.toml` (or `cargo +NAME`) chose.
pub struct Toolchain {
    /// What `rustc -vV` says: any other compiler says something else.
    pub version: String,
    /// Where it is installed.
    pub sysroot: PathBuf,
}

impl Toolchain {
    /// Asks rustc.
    pub fn current() -> Result<Self> {
        let ask = |args: &[&str]| {
            let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            exec::stdout(Command::new(rustc).args(args).current_dir(paths::root()))
        };
        Ok(Self {
            version: ask(&["-vV"])?,
            sysroot: ask(&["--print", "sysroot"])?.trim_end().into(),
        })
    }

    /// Whether the sources of `core` are there, which the XDP programs are built with.
    pub fn has_rust_src(&self) -> bool {
        self.sysroot
            .join("lib/rustlib/src/rust/library/core/Cargo.toml")
            .is_file()
    }

    /// The directory of the toolchain's shared libraries.
    pub fn lib_dir(&self) -> PathBuf {
        self.sysroot.join("lib")
    }

    /// The LLVM library that rustc itself uses.
    pub fn llvm(&self) -> Result<Llvm> {
        find_llvm(&self.lib_dir())?.context(format!(
            "{} has no libLLVM-*.so to link bpf-linker against; use a toolchain that rustup \
             installed: https://rustup.rs",
            self.lib_dir().display()
        ))
    }
}

/// The toolchain's LLVM library.
#[derive(Debug, PartialEq, Eq)]
pub struct Llvm {
    /// As the linker's `-l` wants it.
    pub link_name: String,
    /// LLVM's major version.
    pub major: u32,
}

impl Llvm {
    /// From a file name such as `libLLVM-22-rust-1.95.0-stable.so`.
    fn from_file_name(name: &str) -> Option<Self> {
        let link_name = name.strip_prefix("lib")?.strip_suffix(".so")?;
        let major = link_name.strip_prefix("LLVM-")?.split('-').next()?;
        Some(Self {
            link_name: link_name.to_owned(),
            major: major.parse().ok()?,
        })
    }
}

fn find_llvm(lib_dir: &Path) -> Result<Option<Llvm>> {
    let reading = || format!("looking for LLVM in {}", lib_dir.display());
    for entry in fs::read_dir(lib_dir).with_context(reading)? {
        let name = entry.with_context(reading)?.file_name();
        if let Some(llvm) = name.to_str().and_then(Llvm::from_file_name) {
            return Ok(Some(llvm));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::Llvm;

    #[test]
    fn the_file_name_tells_the_link_name_and_the_major_version() {
        let llvm = Llvm::from_file_name("libLLVM-22-rust-1.95.0-stable.so");
        let expected = Llvm {
            link_name: "LLVM-22-rust-1.95.0-stable".to_owned(),
            major: 22,
        };
        assert_eq!(llvm, Some(expected));
    }

    #[test]
    fn other_files_are_not_llvm() {
        for name in [
            "libLLVM.so.22.1-rust-1.95.0-stable",
            "librustc_driver-6108105cd7e839cf.so",
            "libLLVM-rust.so",
            "rustlib",
        ] {
            assert_eq!(Llvm::from_file_name(name), None, "{name}");
        }
    }
}
