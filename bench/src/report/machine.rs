//! What it was measured on.

use std::{fmt, fs, thread};

use anyhow::{Context, Result};
use serde::Serialize;

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The kernel's release.
    pub kernel: String,
    /// The CPU's model, as the kernel calls it; empty where it does not say.
    pub cpu: String,
    /// How many CPUs may be used.
    pub cpus: usize,
}

impl Machine {
    /// This one.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn this() -> Result<Self> {
        let read = |path: &str| {
            fs::read_to_string(path).with_context(|| format!("read {path}; is /proc mounted?"))
        };
        Ok(Self {
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            cpu: model(&read("/proc/cpuinfo")?).to_owned(),
            cpus: thread::available_parallelism().map_or(1, Into::into),
        })
    }
}

/// The first `model name` in /proc/cpuinfo. Not every architecture has one.
fn model(info: &str) -> &str {
    let named = |line: &'_ str| line.starts_with("model name");
    let line = info.lines().find(|line| named(line));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("", |(_, model)| model.trim())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, cpu, cpus } = self;
        let cpu = if cpu.is_empty() { "unknown" } else { cpu };
        write!(f, "Linux {kernel}, {cpus} CPUs, {cpu}")
    }
}

#[cfg(test)]
mod tests {
    use super::model;

    #[test]
    fn the_model_is_behind_the_colon() {
        let info = "processor\t: 0\nmodel name\t: A CPU @ 2.0GHz\nmodel name\t: B\n";
        assert_eq!(model(info), "A CPU @ 2.0GHz");
        assert_eq!(model("CPU implementer : 0x41\n"), "");
    }
}
