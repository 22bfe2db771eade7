//! Which kernels the switch runs on.

/// The oldest kernel that has all that the switch needs.
const OLDEST: (u32, u32) = (5, 18);

/// Why this kernel will not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// Too old.
    #[error("kernel {release} is too old for the switch, which needs Linux {}.{} or newer; boot a newer kernel", OLDEST.0, OLDEST.1)]
    TooOld {
        /// `uname -r`.
        release: String,
    },
    /// Not a version number.
    #[error("cannot tell the kernel's version from {release:?} (`uname -r`), which should start like 5.18; the switch needs Linux {}.{} or newer", OLDEST.0, OLDEST.1)]
    Unreadable {
        /// `uname -r`.
        release: String,
    },
    /// `uname` failed.
    #[error("cannot ask for the kernel's version (uname): {source}; the switch needs Linux {}.{} or newer", OLDEST.0, OLDEST.1)]
    Uname {
        /// Why it failed.
        source: nix::Error,
    },
}

/// Whether the kernel with this release, as `uname -r` shows it, is new enough.
///
/// # Errors
/// That it is not, or that the text is no kernel release.
pub fn kernel_supported(release: &str) -> Result<(), KernelError> {
    let release = release.trim();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    match (number(), number()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Ok(()),
        (Some(_), Some(_)) => Err(KernelError::TooOld {
            release: release.into(),
        }),
        _ => Err(KernelError::Unreadable {
            release: release.into(),
        }),
    }
}

/// Whether the running kernel is new enough.
///
/// # Errors
/// As [`kernel_supported`].
pub fn check_kernel() -> Result<(), KernelError> {
    let uname = nix::sys::utsname::uname().map_err(|source| KernelError::Uname { source })?;
    kernel_supported(&uname.release().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::{KernelError, check_kernel, kernel_supported};

    #[test]
    fn versions_are_compared_as_numbers() {
        for good in [
            "5.18.0",
            "5.18",
            "5.18-rc1",
            "6.1.0-21-amd64",
            "6.18.44-fc",
            "10.0.1\n",
        ] {
            assert_eq!(kernel_supported(good), Ok(()), "{good}");
        }
        for old in ["5.17.15", "5.4.0-150-generic", "4.20", "5.9.1"] {
            let e = kernel_supported(old).expect_err(old);
            assert!(matches!(e, KernelError::TooOld { .. }), "{old}: {e}");
        }
        for odd in ["", "6", "linux-6.1", "6.", "99999999999.1"] {
            let e = kernel_supported(odd).expect_err(odd);
            assert!(matches!(e, KernelError::Unreadable { .. }), "{odd}: {e}");
        }
        check_kernel().expect("the kernel that runs the tests");
    }
}
