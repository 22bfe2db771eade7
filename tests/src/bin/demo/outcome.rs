//! What a system did, and whether the switch did anything wrong.

use std::collections::BTreeSet;

use lab::traffic::UdpReport;

use crate::{
    balance::Balance,
    migration::Move,
    news::Trigger,
    traffic::{Finished, Guest},
};

/// What a system did.
pub struct Outcome {
    /// As `--system` names it.
    pub system: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// Where the patent draws it.
    pub figures: &'static str,
    /// What the VM was doing when it was moved.
    pub guest: Guest,
    /// How many lines about sites and VMs an operator keeps up to date.
    pub operator_lines: usize,
    /// The moves.
    pub moves: Vec<Move>,
    /// One more, after our agents were killed and started again.
    pub after_restart: Move,
    /// One more without the control device, if there was one.
    pub stranded: Option<Stranded>,
    /// What became of the traffic.
    pub traffic: Finished,
    /// What became of the frames.
    pub balance: Balance,
}

/// A move of which the control device could not tell the switch.
pub struct Stranded {
    /// How many probes the PC sent before an operator came.
    pub asked: u64,
    /// Whether the VM answered all the same.
    pub found: bool,
}

impl Outcome {
    /// What made the switch change its flow table.
    pub fn triggers(&self) -> BTreeSet<Trigger> {
        let moves = self.moves.iter().chain([&self.after_restart]);
        moves.map(|a_move| a_move.trigger).collect()
    }

    /// How many probes the PC sent in vain between the VM's resumption and its first answer.
    pub fn lost_in_gap(&self, a_move: &Move) -> u64 {
        let first = a_move.first_probe;
        let arrivals = &self.traffic.probes.arrivals;
        let answered = arrivals.iter().find(|(number, _)| *number >= first);
        answered.map_or(0, |(number, _)| number - first)
    }

    /// What went wrong, in words. Empty is how it should be.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let Balance { lost, reasons, .. } = &self.balance;
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
        let unheard = self.traffic.unheard.cast_signed();
        let unexplained =
            self.packets(|report| report.lost) - self.balance.network() - lost - unheard;
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
        if self.stranded.as_ref().is_some_and(|alone| alone.found) {
            faults.push("the VM was found without the control device".to_owned());
        }
        faults
    }

    fn packets(&self, count: fn(&UdpReport) -> u64) -> i64 {
        let Finished { probes, work, .. } = &self.traffic;
        let work = work.as_ref().map_or(0, |work| count(&work.packets));
        (count(probes) + work).cast_signed()
    }
}

/// The middle one of some values, of two in the middle the larger.
pub fn median<T: Ord + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
pub mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A move of an idle VM.
    pub const MOVE: Move = Move {
        paused: Duration::from_millis(20),
        first_probe: 0,
        trigger: Trigger::LearningPacket,
        news: Duration::from_micros(200),
        switched: Duration::from_micros(400),
        gap: Duration::from_micros(600),
    };

    /// An outcome in which the probes from 0 that were answered are these.
    pub fn outcome(sent: u64, answered: &[u64], balance: Balance) -> Outcome {
        let arrivals = answered.iter().map(|number| (*number, Instant::now()));
        Outcome {
            system: "second",
            title: "Second embodiment",
            figures: "Fig. 5 and 6",
            guest: Guest::Idle,
            operator_lines: 0,
            moves: vec![MOVE],
            after_restart: MOVE,
            stranded: None,
            traffic: Finished {
                probes: UdpReport::new(sent, arrivals.collect()),
                unheard: 0,
                work: None,
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
    }

    #[test]
    fn nor_is_what_a_paused_vm_does_not_hear() {
        let mut outcome = outcome(5, &[0, 1, 4], Balance::default());
        outcome.traffic.unheard = 2;
        assert_eq!(outcome.faults(), Vec::<String>::new());
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
    fn a_vm_that_nobody_could_find_must_not_be_found() {
        let mut outcome = outcome(1, &[0], Balance::default());
        for found in [false, true] {
            outcome.stranded = Some(Stranded { asked: 2000, found });
            assert_eq!(outcome.faults().len(), usize::from(found));
        }
    }

    #[test]
    fn probes_are_lost_in_the_gap_from_the_resumption_to_the_first_answer() {
        let outcome = outcome(12, &[0, 1, 8, 10, 11], Balance::default());
        let lost = |first_probe| {
            outcome.lost_in_gap(&Move {
                first_probe,
                ..MOVE
            })
        };
        assert_eq!([lost(5), lost(8), lost(9), lost(12)], [3, 0, 1, 0]);
    }

    #[test]
    fn of_two_in_the_middle_the_larger_is_the_median() {
        assert_eq!(median::<u64>(&[]), None);
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median(&[1, 4, 3, 2]), Some(3));
    }
}
