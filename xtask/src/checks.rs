//! What a verb needs from the machine, asked before minutes are spent on building.

use std::{ffi::OsString, fs};

use anyhow::{Context as _, Result, bail, ensure};

/// The oldest kernel that has, by its version, all that the XDP programs use. The agent asks for each thing.
const OLDEST_KERNEL: (u32, u32) = (5, 12);

/// The capabilities for namespaces, interfaces and BPF: CAP_NET_ADMIN and CAP_SYS_ADMIN.
const CAPABILITIES: u64 = 1 << 12 | 1 << 21;

/// Whether a program with these arguments will print a text and do nothing else.
pub fn only_prints(args: &[OsString]) -> bool {
    args.iter().any(|arg| {
        ["help", "--help", "-h", "--version", "-V"]
            .iter()
            .any(|text| arg == text)
    })
}

/// Fails unless we may load programs and set up interfaces.
pub fn privileged(verb: &str) -> Result<()> {
    let status = read("/proc/self/status")?;
    if field(&status, "Uid:").and_then(|uids| uids.split_whitespace().nth(1)) != Some("0") {
        // sudo resets PATH even with -E, and rustup finds its toolchains through HOME.
        bail!(
            "`cargo xtask {verb}` needs root, to load XDP programs and set up interfaces; run\n  \
             sudo -E env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask {verb}"
        );
    }
    let capabilities = field(&status, "CapEff:").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    ensure!(
        capabilities.is_some_and(|have| have & CAPABILITIES == CAPABILITIES),
        "`cargo xtask {verb}` runs as root but without CAP_NET_ADMIN and CAP_SYS_ADMIN, as in a \
         container; start the container with `--privileged`"
    );
    Ok(())
}

/// Fails on a kernel that cannot run the XDP programs.
pub fn kernel() -> Result<()> {
    let release = read("/proc/sys/kernel/osrelease")?;
    let release = release.trim_end();
    let version = kernel_version(release)
        .with_context(|| format!("cannot tell the version of kernel `{release}`"))?;
    let (major, minor) = OLDEST_KERNEL;
    ensure!(
        version >= OLDEST_KERNEL,
        "kernel {release} is too old for the XDP programs; boot {major}.{minor} or newer"
    );
    Ok(())
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path}; is /proc mounted?"))
}

/// The value of one line of `/proc/PID/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// Major and minor version of a release such as `6.1.0-18-amd64`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST_KERNEL, field, kernel_version};

    #[test]
    fn kernel_versions_compare_as_numbers() {
        assert_eq!(kernel_version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(kernel_version("5.18-rc3"), Some((5, 18)));
        assert!(kernel_version("5.4.0") < Some(OLDEST_KERNEL));
        assert_eq!(kernel_version("unknown"), None);
    }

    #[test]
    fn a_field_is_the_rest_of_its_line() {
        let status = "Name:\txtask\nUid:\t1000\t0\t0\t0\nCapEff:\t000001ffffffffff\n";
        assert_eq!(field(status, "Uid:"), Some("1000\t0\t0\t0"));
        assert_eq!(field(status, "CapEff:"), Some("000001ffffffffff"));
        assert_eq!(field(status, "Gid:"), None);
    }
}
