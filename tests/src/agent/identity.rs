//! Which binary is tested, and under which names it runs.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, bail};

/// Names the binary under test.
pub const BINARY: &str = "SWITCH_AGENT";

/// A fresh instance name: two tests never meet in `/run` or `/sys/fs/bpf`.
#[must_use]
pub fn instance() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "t-{}-{}",
        process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// The path of the binary under test.
///
/// # Errors
/// When the environment does not name one: a test that needs it must fail, not pass unseen.
pub fn binary() -> Result<PathBuf> {
    binary_of(env::var_os(BINARY))
}

fn binary_of(value: Option<OsString>) -> Result<PathBuf> {
    let Some(value) = value else {
        bail!("{BINARY} is not set: it must name the switch-agent binary to test");
    };
    let path = PathBuf::from(&value);
    path.canonicalize()
        .with_context(|| format!("find {BINARY}={}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_is_a_clear_failure() {
        let error = binary_of(None).expect_err("no binary is named");
        assert_eq!(
            error.to_string(),
            "SWITCH_AGENT is not set: it must name the switch-agent binary to test"
        );
        let error = binary_of(Some("/nowhere/switch-agent".into())).expect_err("there is none");
        assert_eq!(error.to_string(), "find SWITCH_AGENT=/nowhere/switch-agent");
    }

    #[test]
    fn instances_differ() {
        assert_ne!(instance(), instance());
    }
}
