//! Directories that are made once, by one process at a time.

use std::{
    env,
    fs::{self, File},
    io,
    path::{self, Path, PathBuf},
};

use anyhow::{Context, Result};

/// `target/vm`: what was fetched and unpacked. It can be removed at any time; the next call fetches anew.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in a target directory of cargo.
    #[must_use]
    pub fn new(target: &Path) -> Self {
        Self {
            root: target.join("vm"),
        }
    }

    /// The cache in the workspace's target directory, which `CARGO_TARGET_DIR` may have moved.
    ///
    /// # Errors
    /// When that variable is no path.
    pub fn of_workspace() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap_or(here);
        match env::var_os("CARGO_TARGET_DIR") {
            None => Ok(Self::new(&root.join("target"))),
            Some(dir) => path::absolute(root.join(&dir))
                .map(|target| Self::new(&target))
                .with_context(|| format!("CARGO_TARGET_DIR={} is not a path", dir.display())),
        }
    }

    /// The directory of this name, which `make` fills where it is not there yet. It appears as a whole or not
    /// at all, and a second process waits for the first instead of doing the same.
    ///
    /// # Errors
    /// As `make`, and when the cache cannot be written.
    pub fn once(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let done = self.root.join(name);
        if done.is_dir() {
            return Ok(done);
        }
        let _lock = self.lock(name)?;
        if done.is_dir() {
            return Ok(done);
        }
        let part = self.beside(name, "part");
        // What a killed process has left.
        remove(&part)?;
        create(&part)?;
        make(&part)?;
        fs::rename(&part, &done)
            .with_context(|| format!("rename {} to {}", part.display(), done.display()))?;
        Ok(done)
    }

    /// A directory of this name that may change, for the one who holds its lock.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub(crate) fn locked(&self, name: &str) -> Result<(PathBuf, Lock)> {
        let lock = self.lock(name)?;
        let dir = self.root.join(name);
        create(&dir)?;
        Ok((dir, lock))
    }

    fn lock(&self, name: &str) -> Result<Lock> {
        let path = self.beside(name, "lock");
        create(path.parent().unwrap_or(&self.root))?;
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        file.lock()
            .with_context(|| format!("lock {}", path.display()))?;
        Ok(Lock { _file: file })
    }

    fn beside(&self, name: &str, kind: &str) -> PathBuf {
        self.root.join(format!("{name}.{kind}"))
    }
}

/// Held until dropped, and by a process no longer than it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

fn create(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use anyhow::bail;

    use super::*;

    #[test]
    fn a_directory_is_made_once_and_as_a_whole() -> Result<()> {
        let target = tempfile::tempdir()?;
        let cache = Cache::new(target.path());
        let failed = cache.once("a/b", |part| {
            fs::write(part.join("half"), "")?;
            bail!("no more")
        });
        assert!(failed.is_err());
        let both = Barrier::new(2);
        let make = || {
            both.wait();
            let mut made = false;
            let dir = cache.once("a/b", |part| {
                made = true;
                assert!(!part.join("half").exists(), "what the failed one left");
                Ok(fs::write(part.join("whole"), "")?)
            })?;
            assert!(dir.join("whole").is_file());
            Ok(made)
        };
        let made: Vec<bool> = thread::scope(|scope| {
            let one = scope.spawn(make);
            let other = scope.spawn(make);
            [one, other]
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect::<Result<_>>()
        })?;
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        Ok(())
    }
}
