//! The report as a table that a person reads.

use std::io::{self, Write};

use switch_agent::verbs::table::{Column, Table};

use super::{Goal, Report, Row, Section, figure};

impl Report {
    /// Where and how it was measured.
    ///
    /// # Errors
    /// As writing has it.
    pub fn write_head(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}; {} plan", self.machine, self.plan)?;
        writeln!(out, "Median of all runs (least … most).")
    }
}

impl Section {
    /// Writes it, ratios first.
    ///
    /// # Errors
    /// As writing has it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{}: {}", self.name, self.title)?;
        let mut table = Table::new([
            Column::Left(""),
            Column::Right("RATIO"),
            Column::Left("GOAL"),
            Column::Left("SWITCH"),
            Column::Left("AGAINST"),
        ]);
        for row in &self.rows {
            table.row(cells(row));
        }
        table.print(out)
    }
}

fn cells(row: &Row) -> [String; 5] {
    let against = row.against.as_ref();
    let ratio = against.and_then(|against| against.ratio.as_ref());
    [
        row.what.clone(),
        ratio.map(figure::ratio).unwrap_or_default(),
        goal(row),
        figure::outcome(&row.ours),
        against
            .map(|other| format!("{} {}", other.name, figure::outcome(&other.outcome)))
            .unwrap_or_default(),
    ]
}

/// What the row should be, and whether it is.
fn goal(row: &Row) -> String {
    let Some(goal) = row.goal else {
        return String::new();
    };
    let (sign, figure) = match goal {
        Goal::AtLeast(figure) => (">=", figure),
        Goal::AtMost(figure) => ("<=", figure),
    };
    match row.judged() {
        None => format!("{sign} {figure} ?"),
        Some((is, unit)) => {
            let wanted = unit.map_or_else(|| format!("{figure:.2}"), |unit| unit.text(figure));
            let met = if goal.is_met(is) { "met" } else { "MISSED" };
            format!("{sign} {wanted} {met}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Against, Outcome, Samples, Unit};

    fn row(ours: f64, against: Option<Outcome>, goal: Goal) -> Row {
        let samples = |figure| Samples::new(vec![figure]).expect("a figure");
        let ours = samples(ours);
        Row {
            what: "64 bytes".to_owned(),
            against: against.map(|outcome| Against {
                name: "other",
                ratio: match &outcome {
                    Outcome::Measured(figures, _) => ours.over(figures),
                    Outcome::Missing(_) => None,
                },
                outcome,
            }),
            ours: Outcome::Measured(ours, Unit::FramesPerSecond),
            goal: Some(goal),
        }
    }

    #[test]
    fn ratio_goal_and_figures_stand_in_columns() {
        let other = Outcome::Measured(
            Samples::new(vec![1e6]).expect("a figure"),
            Unit::FramesPerSecond,
        );
        let missing = Outcome::Missing("not installed".to_owned());
        let section = Section {
            name: "forwarding",
            title: "How fast",
            rows: vec![
                row(3e6, Some(other), Goal::AtLeast(2.0)),
                row(3e6, Some(missing), Goal::AtLeast(2.0)),
                row(3e6, None, Goal::AtMost(2e6)),
            ],
        };
        let mut text = Vec::new();
        section.write(&mut text).expect("a vector takes all");
        assert_eq!(
            String::from_utf8_lossy(&text),
            "
forwarding: How fast
          RATIO  GOAL                SWITCH    AGAINST
64 bytes   3.00  >= 2.00 met         3.00 M/s  other 1.00 M/s
64 bytes         >= 2 ?              3.00 M/s  other not measured: not installed
64 bytes         <= 2.00 M/s MISSED  3.00 M/s
"
        );
    }
}
