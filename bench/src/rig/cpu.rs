//! Which CPU measures.

use anyhow::{Context, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The calling thread.
const THIS: Pid = Pid::from_raw(0);

/// Keeps the calling thread on the last CPU that it may use: one that is moved about has cold caches.
///
/// # Errors
/// There is none, which does not happen.
pub fn pin() -> Result<()> {
    let allowed = sched_getaffinity(THIS).context("ask which CPUs there are")?;
    let may = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    let last = (0..CpuSet::count()).rev().find(may);
    let mut only = CpuSet::new();
    only.set(last.context("there is no CPU to run on")?)?;
    sched_setaffinity(THIS, &only).context("stay on one CPU")
}
