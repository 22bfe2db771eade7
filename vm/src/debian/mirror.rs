//! Where this machine's own apt gets Debian from.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{Archive, run};

/// Where the machine's own packages are signed by keys of, in both spellings that releases have.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// The mirrors of both archives, and the keys that vouch for what they give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirrors {
    main: String,
    security: String,
    keyring: &'static str,
}

impl Mirrors {
    /// Asks the machine's apt, which the environment overrides: on a machine that is no Debian it must.
    ///
    /// # Errors
    /// When one of the two is not known, or Debian's keys are not there.
    pub(super) fn find() -> Result<Self> {
        let targets = run(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(SITE) $(RELEASE)",
            "Created-By: Packages",
        ]))?;
        let (codename, distribution) = codename()?;
        let (main, security) = match distribution.as_str() {
            "debian" => of_targets(&targets, &codename),
            _ => (None, None),
        };
        let keyring = KEYRINGS
            .into_iter()
            .find(|path| Path::new(path).is_file())
            .with_context(|| {
                format!(
                    "there is no {}; apt-get install debian-archive-keyring",
                    KEYRINGS[0]
                )
            })?;
        Ok(Self {
            main: choose("DEBIAN_MIRROR", main)?,
            security: choose("DEBIAN_SECURITY_MIRROR", security)?,
            keyring,
        })
    }

    pub(super) fn of(&self, archive: Archive) -> &str {
        match archive {
            Archive::Main => &self.main,
            Archive::Security => &self.security,
        }
    }

    pub(super) fn keyring(&self) -> &str {
        self.keyring
    }
}

fn choose(variable: &str, of_apt: Option<&str>) -> Result<String> {
    if let Ok(mirror) = env::var(variable) {
        return Ok(mirror);
    }
    let Some(mirror) = of_apt else {
        bail!(
            "this machine's apt has no such archive of Debian; set {variable} to the URI of a mirror"
        );
    };
    Ok(mirror.to_owned())
}

/// The URIs that the release itself and its security updates come from.
fn of_targets<'a>(targets: &'a str, codename: &str) -> (Option<&'a str>, Option<&'a str>) {
    let of = |wanted: &str| {
        targets
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, release)| *release == wanted)
            .map(|(site, _)| site)
    };
    let first = |names: &[String]| names.iter().find_map(|name| of(name));
    let aliases = [codename, "stable", "oldstable", "testing"];
    (
        first(&aliases.map(str::to_owned)),
        first(&aliases.map(|alias| format!("{alias}-security"))),
    )
}

/// The name of this machine's release, such as `bookworm`, and of its distribution, such as `debian`.
///
/// # Errors
/// When the machine does not tell.
pub(crate) fn codename() -> Result<(String, String)> {
    let path = "/etc/os-release";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    Ok((
        field("VERSION_CODENAME").unwrap_or_default(),
        field("ID").unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archives_are_told_apart_by_their_suites() {
        let targets = "http://other.test/apt nodistro\n\
                       http://mirror.test/debian bookworm\n\
                       http://mirror.test/debian bookworm-updates\n\
                       http://mirror.test/debian-security bookworm-security\n";
        assert_eq!(
            of_targets(targets, "bookworm"),
            (
                Some("http://mirror.test/debian"),
                Some("http://mirror.test/debian-security")
            )
        );
        assert_eq!(of_targets(targets, "noble"), (None, None));
    }
}
