//! What a million bindings take: of the agent's memory and of the kernel's.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd},
};

use anyhow::{Context, Result, ensure};
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

/// What smaps in proc(5) calls a map.
const MAP: &str = "anon_inode:bpf-map";

/// The maps that hold something of each binding, but for what each CPU has of its own.
const BY_BINDING: [&str; 4] = [
    names::BINDINGS,
    names::SHORTCUTS,
    names::SHORTCUT_OWNERS,
    names::QUEUED,
];

/// Those that count its traffic.
const COUNTERS: [&str; 3] = [
    names::SHORTCUT_TRAFFIC,
    names::FLOW_TRAFFIC,
    names::AGENT_FLOW_TRAFFIC,
];

/// Measures it.
///
/// # Errors
/// When the switch does not start, or the kernel does not say.
pub fn measure(_: &Plan) -> Result<Section> {
    let stage = Stage::start(&[], BOUND, BOUND)?;
    let empty = Stage::start(&[], BOUND, 0)?;
    let kernel = BY_BINDING.map(|map| locked(&stage, map));
    let kernel = kernel.into_iter().sum::<Result<u64>>()?;
    let all = resident(&stage)?;
    let counters = COUNTERS.map(|map| locked(&stage, map));
    let counters = counters.into_iter().sum::<Result<u64>>()?;
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
            row("agent", own(&stage)?, Some(AGENT))?,
            row("agent, with an empty table", own(&empty)?, None)?,
            row("agent, and what it sees of the kernel's maps", all, None)?,
            row("kernel, a binding", each(kernel), Some(BINDING))?,
            row(
                "kernel, a binding's counters for the agent and each CPU",
                each(counters),
                None,
            )?,
        ],
    })
}

/// The agent's resident memory in bytes: `VmRSS` of proc(5). The data of each ring are in it twice.
fn resident(stage: &Stage) -> Result<f64> {
    let path = format!("/proc/{}/status", stage.agent().pid());
    let kilobytes: u64 = fields(&path, "VmRSS:")?.iter().sum();
    Ok((kilobytes * 1024) as f64)
}

/// The same without the kernel's maps: of those, what is there is the kernel's.
fn own(stage: &Stage) -> Result<f64> {
    let path = format!("/proc/{}/smaps", stage.agent().pid());
    let smaps = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let (mut is_own, mut kilobytes) = (true, 0);
    for line in smaps.lines() {
        if let Some(size) = line.strip_prefix("Rss:") {
            kilobytes += if is_own { number(size)? } else { 0 };
        } else if !line.contains(": ") {
            // The first line of a mapping ends with what is mapped.
            is_own = !line.ends_with(MAP);
        }
    }
    Ok((kilobytes * 1024) as f64)
}

/// What the kernel has for a map, in bytes: `memlock` of its descriptor's entry in proc(5).
fn locked(stage: &Stage, map: &str) -> Result<u64> {
    let opened = MapData::from_pin(stage.pin(map)?);
    let opened = opened.with_context(|| format!("open the map {map}"))?;
    let descriptor = opened.fd().as_fd().as_raw_fd();
    let path = format!("/proc/self/fdinfo/{descriptor}");
    Ok(fields(&path, "memlock:")?.iter().sum())
}

/// The numbers behind a word that lines of a file begin with; at least one.
fn fields(path: &str, name: &str) -> Result<Vec<u64>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let rest = text.lines().filter_map(|line| line.strip_prefix(name));
    let numbers: Vec<_> = rest.map(number).collect::<Result<_>>()?;
    ensure!(!numbers.is_empty(), "{path} has no {name}");
    Ok(numbers)
}

/// The number that a text begins with.
fn number(text: &str) -> Result<u64> {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse()
        .with_context(|| format!("read a number in {text:?}"))
}
