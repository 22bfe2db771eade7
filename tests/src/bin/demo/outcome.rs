//! What is to be said in the end: how long the gaps were, and what was lost where.

use std::time::Duration;

use anyhow::Result;
use lab::traffic::UdpReport;

use crate::{
    balance::Balance,
    migration::Move,
    screen::{Screen, aligned},
    traffic::Finished,
};

/// What a system did.
pub struct Outcome {
    /// As `--system` names it.
    pub system: &'static str,
    /// What makes the switch change its flow table.
    pub trigger: &'static str,
    /// How many things an operator enters for a VM or a move.
    pub operator_inputs: u32,
    /// The moves.
    pub moves: Vec<Move>,
    /// One more, after the part that decides was killed and started again.
    pub after_restart: Move,
    /// What became of the traffic.
    pub traffic: Finished,
    /// What became of the frames.
    pub balance: Balance,
}

impl Outcome {
    /// What the switch did wrong, in words. Empty is how it should be.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let balance = &self.balance;
        let Balance { lost, reasons, .. } = balance;
        if *lost != 0 || !reasons.is_empty() {
            let why: Vec<_> = reasons
                .iter()
                .map(|(reason, frames)| format!("{reason}: {frames}"))
                .collect();
            faults.push(format!(
                "{lost} frames lost at the switch ({})",
                why.join(", ")
            ));
        }
        // Who lost a frame is counted in two ways: by frames, and by the numbers in the packets.
        let unexplained = self.packets(|report| report.lost) - balance.network() - lost;
        if unexplained > 0 {
            faults.push(format!(
                "{unexplained} UDP packets lost, and no frame that could have had them"
            ));
        }
        for (what, packets) in [
            ("out of order", self.packets(|report| report.reordered)),
            ("twice", self.packets(|report| report.duplicated)),
        ] {
            if packets > 0 {
                faults.push(format!("{packets} UDP packets arrived {what}"));
            }
        }
        faults
    }

    /// What was lost, and not at the switch.
    fn network_losses(&self) -> String {
        let Balance {
            network_to_vm: to_vm,
            network_from_vm: from_vm,
            ..
        } = self.balance;
        let mut text = format!(
            "Lost in the network: {to_vm} frames of the PC, sent to the data centre that the VM \
             had just left"
        );
        if from_vm != 0 {
            text += &format!("; {from_vm} frames of the VM");
        }
        text + "."
    }

    fn packets(&self, count: fn(&UdpReport) -> u64) -> i64 {
        let Finished { from_vm, to_vm, .. } = &self.traffic;
        (count(from_vm) + count(to_vm)).cast_signed()
    }

    fn median_and_worst(&self, time: impl Fn(&Move) -> Option<Duration>) -> String {
        let mut times: Vec<_> = self.moves.iter().filter_map(time).collect();
        times.sort();
        // Of two in the middle, the longer.
        match (times.get(times.len() / 2), times.last()) {
            (Some(median), Some(worst)) => format!("{} / {}", ms(*median), ms(*worst)),
            _ => "-".to_owned(),
        }
    }
}

/// A line of the table: what it says, and of each system.
type Row = (&'static str, fn(&Outcome) -> String);

/// The table's lines.
const ROWS: [Row; 14] = [
    ("SYSTEM", |of| of.system.to_owned()),
    ("triggered by", |of| of.trigger.to_owned()),
    ("operator inputs", |of| of.operator_inputs.to_string()),
    ("moves", |of| of.moves.len().to_string()),
    ("VM paused, median / worst", |of| {
        of.median_and_worst(|a_move| Some(a_move.paused))
    }),
    ("gap at the PC, median / worst", |of| {
        of.median_and_worst(|a_move| Some(a_move.gap_at_pc))
    }),
    ("gap at the VM, median / worst", |of| {
        of.median_and_worst(|a_move| Some(a_move.gap_at_vm))
    }),
    ("switch's learn time, median / worst", |of| {
        of.median_and_worst(|a_move| a_move.learn)
    }),
    ("a move after kill -9 and restart", |of| {
        format!("works, gap {} at the PC", ms(of.after_restart.gap_at_pc))
    }),
    ("TCP VM -> PC, received", |of| {
        let bytes = of.traffic.download.bytes as f64;
        format!("{:.1} MB, none wrong", bytes / 1e6)
    }),
    ("UDP VM -> PC, lost", |of| lost(&of.traffic.from_vm)),
    ("UDP PC -> VM, lost", |of| lost(&of.traffic.to_vm)),
    ("frames lost at the switch", |of| {
        format!("{} of {}", of.balance.lost, of.balance.offered)
    }),
    ("frames lost in the network", |of| {
        of.balance.network().to_string()
    }),
];

fn lost(report: &UdpReport) -> String {
    let sent = report.received + report.lost;
    format!("{} of {sent} packets", report.lost)
}

/// Prints the table and the verdict, which it returns: whether no system did anything wrong.
pub fn show(outcomes: &[Outcome], screen: &mut Screen) -> Result<bool> {
    let row = |(what, cell): &Row| {
        let cells = outcomes.iter().map(cell);
        [(*what).to_owned()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = ROWS.iter().map(row).collect();
    screen.table(aligned(&rows).iter().map(String::as_str))?;
    let mut good = true;
    screen.note(
        "Gap: from the VM's resumption at its new place to its first frame at the PC, or the PC's \
         at the VM.",
    )?;
    for of in outcomes {
        screen.note(of.network_losses())?;
        let faults = of.faults();
        good &= faults.is_empty();
        if faults.is_empty() {
            screen.verdict(true, "nothing was lost at the switch")?;
        }
        for fault in faults {
            screen.verdict(false, fault)?;
        }
    }
    Ok(good)
}

/// A time in milliseconds, as people read it.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 9.995 {
        format!("{ms:.2} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use lab::traffic::Transfer;

    use super::*;

    const MOVE: Move = Move {
        paused: Duration::from_millis(20),
        gap_at_pc: Duration::from_micros(400),
        gap_at_vm: Duration::from_micros(600),
        learn: None,
    };

    /// An outcome in which the numbers from 0 that arrived at the VM are these.
    fn outcome(sent: u64, arrived: &[u64], balance: Balance) -> Outcome {
        let arrivals = arrived.iter().map(|number| (*number, Instant::now()));
        Outcome {
            system: "first",
            trigger: "",
            operator_inputs: 0,
            moves: [3, 1, 2]
                .map(|ms| Move {
                    paused: Duration::from_millis(ms),
                    ..MOVE
                })
                .to_vec(),
            after_restart: MOVE,
            traffic: Finished {
                download: Transfer {
                    bytes: 1,
                    elapsed: Duration::ZERO,
                    longest_stall: Duration::ZERO,
                },
                from_vm: UdpReport::new(0, Vec::new()),
                to_vm: UdpReport::new(sent, arrivals.collect()),
            },
            balance,
        }
    }

    #[test]
    fn what_the_network_loses_is_no_fault_of_the_switch() {
        let balance = Balance {
            network_to_vm: 2,
            ..Balance::default()
        };
        let outcome = outcome(5, &[0, 1, 4], balance);
        assert_eq!(outcome.faults(), Vec::<String>::new());
        assert_eq!(
            outcome.median_and_worst(|a_move| Some(a_move.paused)),
            "2.00 ms / 3.00 ms"
        );
    }

    #[test]
    fn a_loss_at_the_switch_is_one() {
        let balance = Balance {
            lost: 1,
            reasons: vec![("dropped, too-big".to_owned(), 1)],
            ..Balance::default()
        };
        assert_eq!(
            outcome(1, &[0], balance).faults(),
            ["1 frames lost at the switch (dropped, too-big: 1)"]
        );
    }

    #[test]
    fn so_is_a_packet_that_nobody_knows_of_and_one_that_comes_too_late_or_twice() {
        assert_eq!(
            outcome(5, &[0, 2, 1, 2], Balance::default()).faults(),
            [
                "2 UDP packets lost, and no frame that could have had them",
                "1 UDP packets arrived out of order",
                "1 UDP packets arrived twice",
            ]
        );
    }

    #[test]
    fn times_are_as_exact_as_one_reads_them() {
        let text = [0, 421, 9_994, 9_996, 20_400].map(|us| ms(Duration::from_micros(us)));
        assert_eq!(text, ["0.00 ms", "0.42 ms", "9.99 ms", "10 ms", "20 ms"]);
    }
}
