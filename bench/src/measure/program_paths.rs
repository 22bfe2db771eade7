//! What the program of a port costs by itself, on each of its ways.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Verdict;
use switch_agent::{
    datapath::{Pins, open_misses},
    types::InstanceName,
};

use super::Plan;
use crate::{
    report::{Against, Goal, Outcome, Row, Samples, Section, Unit},
    rig::{Cables, Direction, Family, PORTS, Repeated, Traffic, Which, system::Switch},
};

/// How many bindings there are.
const VMS: u32 = 1000;
/// Numbers from which on nobody is bound.
const STRANGERS: u32 = 1 << 20;
/// What a hit may cost more than nothing at all, in nanoseconds.
const GOAL: Goal = Goal::AtMost(60.0);
/// A TCI of a VLAN that no site has, and where a frame has it.
const NO_SITE: (usize, [u8; 2]) = (14, 4000_u16.to_be_bytes());
/// An IPv4 header that says to be shorter than one can be, and where an untagged frame says so.
const TOO_SHORT: (usize, u8) = (14, 0x44);
/// As many misses as there is always room for in the ring, and within the limit of a site.
const MISSES: u32 = 2048;

/// A way through the program.
struct Path {
    what: &'static str,
    port: usize,
    traffic: Traffic,
    /// Changes the frame.
    change: fn(&mut [u8]),
    verdict: Verdict,
    /// How many frames of a run the agent is handed.
    misses: u32,
    goal: Option<Goal>,
}

/// Measures them.
///
/// # Errors
/// The switch does not start, or a frame takes another way than it should.
pub fn measure(plan: &Plan) -> Result<Section> {
    let cables = Cables::lay()?;
    let mut switch = Switch::start(&cables.switch, &[Family::V4], VMS)?;
    let mut ports = Vec::new();
    for port in PORTS {
        ports.push(Repeated::at(&cables.switch, port)?);
    }
    // It would bind those who are not known, and refuse what is malformed.
    switch.agent.kill9()?;
    let instance = switch.agent.instance().parse()?;

    let paths = paths();
    let mut figures = vec![(Vec::new(), Vec::new()); paths.len()];
    for _ in 0..plan.repetitions {
        for (path, (above, nothing)) in paths.iter().zip(&mut figures) {
            let port = &mut ports[path.port];
            let each = run(plan, path, port, &instance).with_context(|| path.what)?;
            above.push(each.at_port - each.empty);
            nothing.push(each.empty);
        }
    }
    let rows = paths.iter().zip(figures);
    let rows = rows.map(|(path, (above, nothing))| row(path, above, nothing));
    Ok(Section {
        name: "program-paths",
        title: "Time of the program alone, above an empty program (64 bytes, IPv4, 1000 bindings)",
        rows: rows.collect::<Result<_>>()?,
    })
}

fn paths() -> [Path; 5] {
    let traffic = |direction, first| Traffic {
        length: 64,
        direction,
        family: Family::V4,
        first,
        flows: VMS,
    };
    let [client, trunk] = [0, 1];
    let hit = |what, port, direction| Path {
        what,
        port,
        traffic: traffic(direction, 0),
        change: |_| {},
        verdict: Verdict::Redirect,
        misses: 0,
        goal: Some(GOAL),
    };
    let (up, down) = (Direction::Up, Direction::Down);
    let other = |what, port, direction, verdict| Path {
        verdict,
        goal: None,
        ..hit(what, port, direction)
    };
    [
        hit("hit, up: tag pushed", client, up),
        hit("hit, down: tag popped", trunk, down),
        Path {
            change: |frame| frame[NO_SITE.0..][..2].copy_from_slice(&NO_SITE.1),
            ..other("pass: a VLAN of the host's", trunk, down, Verdict::Pass)
        },
        Path {
            change: |frame| frame[TOO_SHORT.0] = TOO_SHORT.1,
            ..other("drop: malformed", client, up, Verdict::Drop)
        },
        Path {
            traffic: traffic(down, STRANGERS),
            misses: MISSES,
            ..other("miss: handed to the agent", trunk, down, Verdict::Drop)
        },
    ]
}

/// Nanoseconds a frame.
struct Each {
    at_port: f64,
    empty: f64,
}

/// Runs both programs on frames of a path, and makes sure that they take it.
fn run(plan: &Plan, path: &Path, port: &mut Repeated, instance: &InstanceName) -> Result<Each> {
    let mut frame = path.traffic.frame();
    let mut stream = path.traffic.stream();
    (path.change)(&mut frame);
    (path.change)(&mut stream.headers);
    let times = match path.misses {
        0 => plan.pick(100_000, 1_000_000),
        misses => misses,
    };
    let empty = port.run(Which::Empty, &frame, stream, times)?;
    drain(instance)?;
    let at_port = port.run(Which::AtPort, &frame, stream, times)?;
    let (verdict, misses) = (at_port.verdict, drain(instance)?);
    ensure!(
        (verdict, misses) == (path.verdict, path.misses),
        "{verdict:?} and {misses} misses of {times} frames, not {:?} and {}",
        path.verdict,
        path.misses
    );
    let nanoseconds = |time: Duration| time.as_nanos() as f64;
    Ok(Each {
        at_port: nanoseconds(at_port.each),
        empty: nanoseconds(empty.each),
    })
}

/// Empties the ring, which nobody else does here, and says how much was in it.
fn drain(instance: &InstanceName) -> Result<u32> {
    let mut misses = open_misses(&Pins::of(instance))?;
    let mut count = 0;
    while misses.next().is_some() {
        count += 1;
    }
    Ok(count)
}

fn row(path: &Path, above: Vec<f64>, nothing: Vec<f64>) -> Result<Row> {
    let measured = |figures| {
        let samples = Samples::new(figures).context("nothing was measured")?;
        anyhow::Ok(Outcome::Measured(samples, Unit::Nanoseconds))
    };
    Ok(Row {
        what: path.what.to_owned(),
        ours: measured(above)?,
        against: Some(Against {
            name: "empty program and frame",
            outcome: measured(nothing)?,
            ratio: None,
        }),
        goal: path.goal,
    })
}
