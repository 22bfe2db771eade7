//! The guest's files: an archive that the kernel unpacks into memory.
//!
//! It is not compressed: where the processor is emulated, that costs more than it saves.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{debian::run, elf, kernel::Module};

mod cpio;

use cpio::Kind;

/// Programs from this size on are stripped: what Rust's test programs have of debug information is most of
/// them, and the guest's memory has to hold it.
const STRIP_FROM: u64 = 4 << 20;

/// Files to be the guest's root. Directories on the way to a file come into being with it.
#[derive(Clone, Debug, Default)]
pub struct Initramfs {
    /// By the path, without the slash at its beginning; so a directory comes before what is in it.
    files: BTreeMap<String, Kind>,
}

impl Initramfs {
    /// With nothing but `/dev/console`, which the kernel opens for init before there is a devtmpfs.
    #[must_use]
    pub fn new() -> Self {
        let mut new = Self::default();
        new.put("/dev/console", Kind::Character { major: 5, minor: 1 });
        new
    }

    /// An empty directory.
    pub fn directory(&mut self, path: &str) {
        self.put(path, Kind::Directory);
    }

    /// A file with these permissions and contents.
    pub fn file(&mut self, path: &str, mode: u32, contents: impl Into<Vec<u8>>) {
        self.put(
            path,
            Kind::File {
                mode,
                contents: contents.into(),
            },
        );
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.put(path, Kind::Symlink(target.to_owned()));
    }

    /// A program of this machine, with its loader and libraries at the paths they have here. A big one is
    /// stripped.
    ///
    /// # Errors
    /// When it is no program, or lacks a library here.
    pub fn program(&mut self, path: &str, program: &Path) -> Result<()> {
        let reading = || format!("take program {} into the guest", program.display());
        let contents = stripped(program).with_context(reading)?;
        if let Some(loader) = elf::interpreter(&contents).with_context(reading)? {
            for library in libraries(&loader, program).with_context(reading)? {
                self.library(&library).with_context(reading)?;
            }
            self.library(&loader).with_context(reading)?;
        }
        self.file(path, 0o755, contents);
        Ok(())
    }

    /// Modules as `/modules/00-NAME.ko` and so on, to be loaded in this order.
    pub fn modules(&mut self, modules: Vec<Module>) {
        for (number, Module { name, file }) in modules.into_iter().enumerate() {
            self.file(&format!("/modules/{number:02}-{name}.ko"), 0o644, file);
        }
    }

    /// The archive, for QEMU's `-initrd`.
    ///
    /// # Errors
    /// When a file is too large for the format (4 GiB).
    pub fn archive(&self) -> Result<Vec<u8>> {
        cpio::archive(&self.files)
    }

    fn library(&mut self, path: &str) -> Result<()> {
        if !self.files.contains_key(relative(path)) {
            let contents = fs::read(path).with_context(|| format!("read {path}"))?;
            self.file(path, 0o755, contents);
        }
        Ok(())
    }

    fn put(&mut self, path: &str, kind: Kind) {
        let path = relative(path);
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        for parent in parents {
            self.files
                .entry(parent.to_owned())
                .or_insert(Kind::Directory);
        }
        self.files.insert(path.to_owned(), kind);
    }
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// The program's contents, without what only a debugger reads if it is big.
fn stripped(program: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(program).context("look at its size")?.len();
    if size < STRIP_FROM {
        return fs::read(program).context("read it");
    }
    let out = tempfile::NamedTempFile::new().context("create a temporary file")?;
    run(Command::new("strip").arg("-o").args([out.path(), program]))?;
    fs::read(out.path()).context("read what is left of it")
}

/// The libraries that the loader would load for a program here: it is asked itself, so that the search path
/// and the libraries' own needs are right.
fn libraries(loader: &str, program: &Path) -> Result<Vec<String>> {
    let listed = run(Command::new(loader).arg("--list").arg(program))?;
    let libraries = of_list(&listed);
    ensure!(
        !listed.contains("not found"),
        "it lacks a library here:\n{listed}"
    );
    Ok(libraries)
}

/// The paths in lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)`.
fn of_list(listed: &str) -> Vec<String> {
    listed
        .lines()
        .filter_map(|line| line.split_once(" => "))
        .filter_map(|(_, found)| found.split_whitespace().next())
        .filter(|path| path.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_where_the_loader_finds_them() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2a)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f2b)\n";
        assert_eq!(of_list(listed), ["/lib/x86_64-linux-gnu/libc.so.6"]);
        assert!(of_list("\tstatically linked\n").is_empty());
    }

    #[test]
    fn a_program_brings_its_loader_and_libraries() -> Result<()> {
        let mut initramfs = Initramfs::new();
        initramfs.program("/bin/tests", &std::env::current_exe()?)?;
        let has = |name: &str| initramfs.files.keys().any(|path| path.contains(name));
        assert!(has("bin/tests") && has("libc.so.6") && has("ld-linux"));
        Ok(())
    }

    #[test]
    fn directories_come_with_their_files() {
        let mut initramfs = Initramfs::new();
        initramfs.file("/a/b/c", 0o644, "text");
        let paths: Vec<_> = initramfs.files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c", "dev", "dev/console"]);
    }
}
