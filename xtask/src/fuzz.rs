//! `fuzz`: frames that nobody would send, at the real programs, for as long as it is told.

use std::{
    ffi::OsString,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use crate::{build, exec, test};

/// Targets at a time: more than there are.
const ALL: &str = "64";

/// Runs every target for so many seconds, all of them side by side, from a seed of the first round.
pub fn run(seconds: u64, seed: Option<u64>, args: &[OsString]) -> Result<()> {
    test::can_run("fuzz")?;
    // Not the release build: this one stops where a number overflows or an assertion fails.
    let agent = build::agent(false)?;
    let seed = seed.unwrap_or_else(any_seed);
    println!("xtask: {seconds} s from seed {seed}");
    let mut fuzz = exec::cargo("test")?;
    fuzz.args(["--locked", "--package", "switch-tests", "--test", "fuzz"])
        .args(["--", "--nocapture", "--test-threads", ALL])
        .args(args)
        .env("SWITCH_AGENT", agent)
        .env("FUZZ_SECONDS", seconds.to_string())
        .env("FUZZ_SEED", seed.to_string());
    exec::run(&mut fuzz)
}

/// Another one each time; that it is hard to guess does not matter.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // Microseconds: there is room for as many rounds between two runs.
    now.map_or(0, |since| since.as_micros() as u64)
}
