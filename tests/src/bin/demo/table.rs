//! The systems side by side.

use std::time::Duration;

use anyhow::Result;

use crate::{
    migration::Move,
    outcome::{Outcome, median},
    screen::{Row, Screen, ms, table},
    traffic::{FinishedWork, INTERVAL},
};

/// The table's lines.
const ROWS: [Row<Outcome>; 15] = [
    ("SYSTEM", |of| of.system.to_owned()),
    ("in the patent", |of| of.figures.to_owned()),
    ("the VM is", |of| of.guest.to_string()),
    ("what triggers the switch", |of| {
        let triggers = of.triggers();
        let triggers: Vec<_> = triggers.iter().map(ToString::to_string).collect();
        triggers.join(", ")
    }),
    ("moves", |of| of.moves.len().to_string()),
    ("VM paused, median / worst", |of| {
        median_and_worst(of, |a_move| a_move.paused)
    }),
    ("gap at the PC, median / worst", |of| {
        median_and_worst(of, |a_move| a_move.gap)
    }),
    ("- until the news is there", |of| {
        median_and_worst(of, |a_move| a_move.news)
    }),
    ("- until the switch has switched", |of| {
        median_and_worst(of, |a_move| a_move.switched)
    }),
    ("packets lost in a gap", |of| {
        let lost = of.moves.iter().map(|a_move| of.lost_in_gap(a_move));
        spread(&lost.collect::<Vec<_>>(), |lost| lost.to_string())
    }),
    ("lines that an operator keeps", |of| {
        of.operator_lines.to_string()
    }),
    ("a move after kill -9 and restart", |of| {
        format!("works, gap {}", ms(of.after_restart.gap))
    }),
    ("a move without the control device", |of| {
        match &of.stranded {
            None => "there is none".to_owned(),
            Some(alone) if alone.found => "works".to_owned(),
            Some(alone) => format!("fails, {} of {} packets lost", alone.asked, alone.asked),
        }
    }),
    ("the busy VM's own traffic", |of| {
        of.traffic.work.as_ref().map_or("-".to_owned(), work)
    }),
    ("frames lost at the switch", |of| {
        format!("{} of {}", of.balance.lost, of.balance.offered)
    }),
];

fn work(work: &FinishedWork) -> String {
    let FinishedWork { download, packets } = work;
    format!(
        "TCP {:.1} MB right, UDP {} lost",
        download.bytes as f64 / 1e6,
        packets.lost
    )
}

fn median_and_worst(of: &Outcome, time: fn(&Move) -> Duration) -> String {
    let times: Vec<_> = of.moves.iter().map(time).collect();
    spread(&times, ms)
}

/// The median and the worst of some values.
pub fn spread<T: Ord + Copy>(values: &[T], text: impl Fn(T) -> String) -> String {
    match (median(values), values.iter().max()) {
        (Some(median), Some(worst)) => format!("{} / {}", text(median), text(*worst)),
        _ => "-".to_owned(),
    }
}

/// Prints the table.
pub fn show(outcomes: &[Outcome], screen: &mut Screen) -> Result<()> {
    screen.table(table(&ROWS, outcomes).iter().map(String::as_str))?;
    screen.note(format_args!(
        "Gap: from the VM's resumption at its new place to its first answer at the PC, which asks \
         every {}.\nPackets lost in a gap: the PC's, sent to the data centre that the VM had just \
         left.\nLines that an operator keeps: which site a helper is at, which VMs there are. The \
         control device is next door\nhere: no network delays it, and its order is the command \
         `switch-agent move`.",
        ms(INTERVAL)
    ))
}

/// Prints the verdict, and returns it: whether nothing went wrong.
pub fn verdict(outcomes: &[Outcome], screen: &mut Screen) -> Result<bool> {
    let mut good = true;
    for of in outcomes {
        let faults = of.faults();
        good &= faults.is_empty();
        if faults.is_empty() {
            let text = format_args!("{}: nothing was lost at the switch", of.system);
            screen.verdict(true, text)?;
        }
        for fault in faults {
            screen.verdict(false, format_args!("{}: {fault}", of.system))?;
        }
    }
    Ok(good)
}
