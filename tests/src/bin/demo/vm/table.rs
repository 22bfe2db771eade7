//! The guests side by side.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use lab::vm::{Crossing, session::INTERVAL};

use super::course::Outcome;
use crate::{
    screen::{Row, Screen, ms, table},
    table::spread,
};

const ROWS: [Row<Outcome>; 11] = [
    ("GUEST", |of| of.kind.title.to_owned()),
    ("migrations", |of| of.crossings.len().to_string()),
    ("downtime (QEMU), median / worst", |of| {
        times(of, |crossing| Some(crossing.downtime))
    }),
    ("what tells the switch first", |of| {
        let kinds: BTreeSet<_> = of
            .crossings
            .iter()
            .map(|crossing| crossing.trigger.0)
            .collect();
        let kinds: Vec<_> = kinds.iter().map(ToString::to_string).collect();
        kinds.join(", ")
    }),
    ("- after the downtime", |of| {
        times(of, |crossing| Some(crossing.trigger.1))
    }),
    ("- until the switch has switched", |of| {
        times(of, |crossing| Some(crossing.switched))
    }),
    ("- until the client reaches it", |of| {
        times(of, |crossing| crossing.reached)
    }),
    ("- until the guest itself speaks", |of| {
        times(of, |crossing| crossing.spoke)
    }),
    ("gap at the client", |of| {
        times(of, |crossing| crossing.gaps.map(|gaps| gaps.client))
    }),
    ("- the network's part of it", |of| {
        times(of, |crossing| crossing.gaps.map(|gaps| gaps.added()))
    }),
    ("frames lost at the switch", |of| {
        format!("{} of {}", of.lost, of.offered)
    }),
];

/// The median and the worst of what the migrations have of a time.
fn times(of: &Outcome, time: fn(&Crossing) -> Option<Duration>) -> String {
    let times: Vec<_> = of.crossings.iter().filter_map(time).collect();
    spread(&times, ms)
}

/// Prints the table.
pub fn show(outcomes: &[Outcome], screen: &mut Screen) -> Result<()> {
    screen.table(table(&ROWS, outcomes).iter().map(String::as_str))?;
    screen.note(format_args!(
        "Downtime: from STOP at the source to RESUME at the destination, by QEMU's own clock. The client writes \
         to the guest\nevery {}, and a busy guest as often to it, beside a TCP stream. A gap is the downtime, the \
         guest's own time to come\nto itself, which is long where its processor is emulated, and the network's \
         part: how much longer the client\nhears nothing of it than the switch does.",
        ms(INTERVAL)
    ))
}

/// Prints the verdict, and returns it: whether nothing went wrong.
pub fn verdict(outcomes: &[Outcome], screen: &mut Screen) -> Result<bool> {
    let mut good = true;
    for of in outcomes {
        good &= of.faults.is_empty();
        let title = of.kind.title;
        if of.faults.is_empty() {
            let text = format_args!("{title}: nothing was lost or reordered at the switch");
            screen.verdict(true, text)?;
        }
        for fault in &of.faults {
            screen.verdict(false, format_args!("{title}: {fault}"))?;
        }
    }
    Ok(good)
}
