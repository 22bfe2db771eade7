//! How long frames are thrown, and how what was found is found again.

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use fastrand::Rng;

/// Names the seed of the first round. The one of a failure makes its round the first.
pub const SEED: &str = "FUZZ_SEED";
/// Names how many seconds each target is at it; none: a fixed number of rounds.
pub const SECONDS: &str = "FUZZ_SECONDS";

/// What a run without a seed begins with: the same rounds for everybody.
const ALWAYS: u64 = 1;

/// Says on a failure, a panic too, how to have the round again.
struct Round {
    target: &'static str,
    seed: u64,
    number: u64,
}

impl Drop for Round {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self}");
        }
    }
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            target,
            seed,
            number,
        } = self;
        write!(
            f,
            "{target} failed in round {number}; {SEED}={seed} begins with that round, and {SEED}={} \
             with the {number} before it, for what depends on them",
            seed.wrapping_sub(*number)
        )
    }
}

/// Goes round after round: `rounds` of them, or as long as the environment says. Each has a seed of
/// its own, one more than that of the round before.
///
/// # Errors
/// The first failure of a round, with its seed.
pub fn run(
    target: &'static str,
    rounds: u64,
    mut round: impl FnMut(&mut Rng) -> Result<()>,
) -> Result<()> {
    let first = number(SEED)?.unwrap_or(ALWAYS);
    let seconds = number(SECONDS)?.map(Duration::from_secs);
    let started = Instant::now();
    let mut number = 0;
    let goes_on = |number| match seconds {
        Some(seconds) => started.elapsed() < seconds,
        None => number < rounds,
    };
    while goes_on(number) {
        let seed = first.wrapping_add(number);
        let this = Round {
            target,
            seed,
            number,
        };
        round(&mut Rng::with_seed(seed)).with_context(|| this.to_string())?;
        number += 1;
    }
    println!(
        "{target}: {number} rounds from seed {first} in {:?}",
        started.elapsed()
    );
    Ok(())
}

/// Whether this is the run without seed and time, which is the same for everybody.
pub fn is_everybodys() -> bool {
    env::var_os(SEED).is_none() && env::var_os(SECONDS).is_none()
}

fn number(name: &str) -> Result<Option<u64>> {
    let Ok(text) = env::var(name) else {
        return Ok(None);
    };
    let number = text.parse();
    let number = number.with_context(|| format!("{name}={text} is no number"))?;
    Ok(Some(number))
}
