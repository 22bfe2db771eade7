//! Which kernel this is: a few things that tests ask for came late.

use anyhow::{Context, Result};
use nix::sys::utsname::uname;

/// Whether the running kernel is of this version or a later one.
///
/// # Errors
/// When its release does not begin with a version.
pub fn is_at_least(major: u32, minor: u32) -> Result<bool> {
    let name = uname().context("ask for the kernel's release")?;
    let release = name.release().to_string_lossy();
    let version = version(&release).with_context(|| format!("read kernel release {release:?}"))?;
    Ok(version >= (major, minor))
}

/// Whether XDP redirects frames that are in several buffers; where not, a native port cannot have a jumbo MTU.
///
/// # Errors
/// As [`is_at_least`].
pub fn redirects_buffers() -> Result<bool> {
    is_at_least(6, 3)
}

/// Major and minor version that a release such as `6.12.118+deb13-cloud-amd64` begins with, if it does.
#[must_use]
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() -> Result<()> {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("6.8-rc1"), Some((6, 8)));
        assert_eq!(version("linux"), None);
        assert!(is_at_least(5, 0)?);
        assert!(!is_at_least(1000, 0)?);
        Ok(())
    }
}
