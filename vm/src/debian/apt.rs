//! An apt of our own: its lists, cache and state are in our cache. It reads the system's configuration of how
//! to fetch (a proxy, say), and nothing else of it: hooks there would tidy the system's own cache.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Left, Source, mirror::Mirrors, run};
use crate::{Cache, cache::Lock};

/// What apt says of a suite that is not (or no longer) on the mirror.
const NOT_THERE: [&str; 2] = [
    "does not have a Release file",
    "no longer has a Release file",
];

/// An apt with up-to-date lists, for us alone until it is dropped.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: PathBuf,
    _lock: Lock,
}

impl Apt {
    /// Fetches the lists of these sources; what has not changed is not fetched again.
    ///
    /// # Errors
    /// [`Left`] when the mirror lacks one of the suites, and when apt fails.
    pub(crate) fn update(cache: &Cache, name: &str, sources: &[Source]) -> Result<Self> {
        let (dir, lock) = cache.locked(&format!("apt/{name}"))?;
        let apt = Self { dir, _lock: lock };
        apt.configure(&Mirrors::find()?, sources)?;
        run(apt.command("apt-get").arg("update")).map_err(|error| {
            let text = format!("{error:#}");
            let missing = sources.iter().find(|source| says_left(&text, source));
            match missing {
                Some(source) => Left {
                    suite: source.suite.clone(),
                }
                .into(),
                None => error,
            }
        })?;
        Ok(apt)
    }

    /// The names of the packages that this one depends on, their own dependencies included.
    ///
    /// # Errors
    /// When apt does not know the package.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let only_depends = [
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
            "--no-enhances",
        ];
        let listed = run(self
            .command("apt-cache")
            .args(["depends", "--recurse"])
            .args(only_depends)
            .arg(package))?;
        Ok(packages(&listed))
    }

    /// Downloads these packages alone, and returns the directory they are in.
    ///
    /// # Errors
    /// When apt fails; it compares each file with the signed list.
    pub(crate) fn download(&self, packages: &[String]) -> Result<PathBuf> {
        let dir = self.empty("download")?;
        run(self
            .command("apt-get")
            .arg("download")
            .args(packages)
            .current_dir(&dir))?;
        Ok(dir)
    }

    /// Downloads a package and all it needs that this machine has not installed, preferring this suite, and
    /// returns the directory they are in.
    ///
    /// # Errors
    /// When apt fails.
    pub(crate) fn download_closure(&self, package: &str, suite: &str) -> Result<PathBuf> {
        let dir = self.empty("download")?;
        fs::create_dir(dir.join("partial")).context("create a directory for apt")?;
        let mut install = self.command("apt-get");
        install
            .args(["install", "--download-only", "--yes"])
            .args(["--no-install-recommends", "--target-release", suite])
            .args(["-o", "Dir::State::status=/var/lib/dpkg/status"])
            // It would lock the system's dpkg, which it only reads.
            .args(["-o", "Debug::NoLocking=1"])
            .arg("-o")
            .arg(format!("Dir::Cache::archives={}", dir.display()))
            .arg(package);
        run(&mut install)?;
        Ok(dir)
    }

    fn configure(&self, mirrors: &Mirrors, sources: &[Source]) -> Result<()> {
        let mut list = String::new();
        for Source { archive, suite } in sources {
            writeln!(
                list,
                "deb [signed-by={}] {} {suite} main",
                mirrors.keyring(),
                mirrors.of(*archive)
            )?;
        }
        write(&self.dir.join("sources.list"), &list)?;
        write(&self.dir.join("empty"), "")?;
        for dir in ["lists/partial", "archives/partial", "empty.d"] {
            let dir = self.dir.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        }
        let system = run(Command::new("apt-config").args(["dump", "--format", "%f \"%v\";%n"]))?;
        write(
            &self.dir.join("apt.conf"),
            &configuration(&self.dir, &system),
        )
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .arg("-q");
        command
    }

    fn empty(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(dir)
    }
}

/// Whether apt's words say that the mirror does not have this suite. That the network is down sounds different.
fn says_left(text: &str, source: &Source) -> bool {
    let repository = format!(" {} Release'", source.suite);
    text.lines().any(|line| {
        line.contains(&repository) && NOT_THERE.iter().any(|words| line.contains(words))
    }) && text.contains("404")
}

/// The packages of `apt-cache depends --recurse`: those at the beginning of a line; `<…>` is virtual.
fn packages(listed: &str) -> Vec<String> {
    listed
        .lines()
        .filter(|line| !line.starts_with([' ', '|', '<']) && !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The private configuration, with what the system's says of fetching.
fn configuration(dir: &Path, system: &str) -> String {
    let fetching = system
        .lines()
        .filter(|line| line.starts_with("Acquire::") && !line.starts_with("Acquire::IndexTargets"))
        .filter(|line| !line.starts_with("Acquire::Languages"));
    let dir = dir.display();
    let mut text: String = fetching.flat_map(|line| [line, "\n"]).collect();
    text.push_str(&format!(
        r#"Acquire::Languages "none";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Dir::Cache "{dir}";
Dir::Cache::archives "{dir}/archives";
Dir::Etc::main "{dir}/empty";
Dir::Etc::parts "{dir}/empty.d";
Dir::Etc::preferences "{dir}/empty";
Dir::Etc::preferencesparts "{dir}/empty.d";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "{dir}/empty.d";
Dir::State "{dir}";
Dir::State::lists "{dir}/lists";
Dir::State::status "{dir}/empty";
"#
    ));
    text
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::Archive;

    #[test]
    fn a_suite_that_left_is_told_from_a_mirror_that_is_away() {
        let source = Source::new(Archive::Main, "buster-backports");
        let left = "Err:1 http://mirror.test/debian buster-backports Release\n  404  Not Found\n\
                    E: The repository 'http://mirror.test/debian buster-backports Release' does not have a Release file.\n";
        assert!(says_left(left, &source));
        assert!(!says_left(left, &Source::new(Archive::Main, "buster")));
        let away =
            "Err:1 http://mirror.test/debian buster-backports InRelease\n  Could not connect\n";
        assert!(!says_left(away, &source));
    }

    #[test]
    fn the_machines_mirror_says_what_it_lacks() -> Result<()> {
        let target = tempfile::tempdir()?;
        let source = Source::new(Archive::Main, "no-such-suite");
        let error = Apt::update(&Cache::new(target.path()), "none", &[source])
            .expect_err("there is no such suite");
        let left = error.downcast_ref::<Left>();
        let expected = Left {
            suite: "no-such-suite".to_owned(),
        };
        assert_eq!(left, Some(&expected), "{error:#}");
        Ok(())
    }

    #[test]
    fn dependencies_are_the_lines_that_are_not_indented() {
        let listed = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n\
                      linux-image-6.1.0-56-cloud-amd64\n |Depends: initramfs-tools\n<linux-initramfs-tool>\n";
        let expected = [
            "linux-image-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
        ];
        assert_eq!(packages(listed), expected);
    }

    #[test]
    fn of_the_system_only_how_to_fetch_is_taken() {
        let system = "APT::Update::Post-Invoke:: \"rm -f /var/cache/apt/*.bin\";\n\
                      Acquire::http::Proxy \"http://proxy.test\";\nAcquire::Languages:: \"de\";\n";
        let text = configuration(Path::new("/private"), system);
        assert!(text.contains("http://proxy.test"), "{text}");
        assert!(!text.contains("rm -f"), "{text}");
        assert!(!text.contains("\"de\""), "{text}");
    }
}
