//! Waiting for something to become true, with a deadline instead of a guess.

use std::{
    env,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How often the condition is looked at.
const STEP: Duration = Duration::from_millis(2);

/// Names how many times slower than a computer this is where that is known before, as in a virtual machine
/// whose processor is emulated. Deadlines are that much later.
pub const SLOWDOWN: &str = "LAB_SLOWDOWN";

/// How long to wait for something that takes at most `time` on a computer: a deadline, not a time in which
/// nothing must happen.
///
/// # Panics
/// When [`SLOWDOWN`] is no number.
#[must_use]
pub fn patience(time: Duration) -> Duration {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    let read = || {
        let Some(value) = env::var_os(SLOWDOWN) else {
            return 1;
        };
        let number = value.to_str().and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("{SLOWDOWN}={} is no number", value.display()))
    };
    time * *FACTOR.get_or_init(read)
}

/// Calls `condition` every few milliseconds until it gives a value.
///
/// # Errors
/// Says that `what` did not happen, once `timeout` (with [`patience`]) is over.
pub fn poll_until<T>(
    timeout: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let timeout = patience(timeout);
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if started.elapsed() >= timeout {
            bail!("waited {timeout:?} in vain for: {what}");
        }
        thread::sleep(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_value_as_soon_as_there_is_one() {
        let mut calls = 0;
        let value = poll_until(Duration::from_secs(5), "the third call", || {
            calls += 1;
            (calls == 3).then_some("here")
        });
        assert_eq!(value.ok(), Some("here"));
    }

    #[test]
    fn names_what_did_not_happen() {
        let error = poll_until(Duration::ZERO, "pigs to fly", || None::<()>)
            .expect_err("the condition never holds");
        assert!(error.to_string().ends_with("pigs to fly"), "{error}");
    }
}
