//! What a million bindings take: of the agent's memory and of the kernel's.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::fd::{AsFd, AsRawFd},
};

use anyhow::{Context, Result};
use aya::maps::MapData;
use switch_ebpf::abi::names;

use super::{Plan, stage::Stage};
use crate::report::{Goal, Outcome, Row, Samples, Section, Unit};

/// How many bindings there are, and how many there is room for.
const BOUND: u32 = 1_000_000;
/// What the agent should take at most, in bytes.
const AGENT: f64 = (64 << 20) as f64;
/// What the kernel should take for a binding at most, in bytes.
const BINDING: f64 = 256.0;

/// The maps that hold something of each binding, but for what each CPU has of its own.
const BY_BINDING: [&str; 3] = [names::BINDINGS, names::QUEUED, names::AGENT_FLOWS];

/// Measures it.
///
/// # Errors
/// When the switch does not start, or the kernel does not say.
pub fn measure(_: &Plan) -> Result<Section> {
    let stage = Stage::start(&[], BOUND, BOUND)?;
    let empty = Stage::start(&[], BOUND, 0)?;
    let kernel = BY_BINDING.map(|map| locked(&stage, map));
    let kernel = kernel.into_iter().sum::<Result<u64>>()?;
    let counters = locked(&stage, names::FLOW_TRAFFIC)?;
    let each = |bytes: u64| bytes as f64 / f64::from(BOUND);
    let row = |what: &str, bytes: f64, goal: Option<f64>| {
        anyhow::Ok(Row {
            what: what.to_owned(),
            ours: Outcome::Measured(Samples::new(vec![bytes]).context("no figure")?, Unit::Bytes),
            against: None,
            goal: goal.map(Goal::AtMost),
        })
    };
    Ok(Section {
        name: "memory",
        title: "Memory for 1 000 000 bindings",
        rows: vec![
            row("agent, resident", resident(&stage)?, Some(AGENT))?,
            row(
                "agent, resident, with an empty table",
                resident(&empty)?,
                None,
            )?,
            row("kernel, a binding", each(kernel), Some(BINDING))?,
            row(
                "kernel, a binding's counters on all CPUs",
                each(counters),
                None,
            )?,
        ],
    })
}

/// The agent's resident memory in bytes: `VmRSS` of proc(5).
fn resident(stage: &Stage) -> Result<f64> {
    let path = format!("/proc/{}/status", stage.agent().pid());
    let kilobytes = field(&path, "VmRSS:")?;
    Ok((kilobytes * 1024) as f64)
}

/// What the kernel has for a map, in bytes: `memlock` of its descriptor's entry in proc(5).
fn locked(stage: &Stage, map: &str) -> Result<u64> {
    let opened = MapData::from_pin(stage.pin(map)?);
    let opened = opened.with_context(|| format!("open the map {map}"))?;
    let descriptor = opened.fd().as_fd().as_raw_fd();
    field(&format!("/proc/self/fdinfo/{descriptor}"), "memlock:")
}

/// The number behind a word that a line of a file begins with.
fn field(path: &str, name: &str) -> Result<u64> {
    let file = fs::File::open(path).with_context(|| format!("open {path}"))?;
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("read {path}"))?;
        if let Some(rest) = line.strip_prefix(name) {
            let number = rest.split_whitespace().next().unwrap_or_default();
            return number
                .parse()
                .with_context(|| format!("read {line:?} of {path}"));
        }
    }
    anyhow::bail!("{path} has no {name}")
}
