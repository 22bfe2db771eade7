//! The report as a picture: how fast the switch is by the size of its table, and how long a move takes.

mod panel;

use lab::paint::{Anchor, Paint};
use svg::Document;

use super::{BySize, Outcome, Report, Row, Samples, Section, Unit};
use panel::{Axis, Curve, Panel};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 940.0;
const MARGIN: f64 = 36.0;
/// The section with the times of moves.
const HANDOVER: &str = "handover";
/// From so many figures on it is a distribution.
const MANY: usize = 20;

const STYLE: &str = "
.spread { stroke: #6b7280; stroke-width: 1.5 }
.curve0, .curve1, .curve2, .curve3, .curve4, .curve5 { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.curve0 { stroke: #0284c7 }
.curve1 { stroke: #f59e0b }
.curve2 { stroke: #16a34a }
.curve3 { stroke: #9333ea }
.curve4 { stroke: #dc2626 }
.curve5 { stroke: #475569 }
";

impl Report {
    /// Draws it. What was not measured is said to be so.
    pub fn picture(&self) -> Document {
        let mut paint = Paint::new(WIDTH, HEIGHT, STYLE);
        let mut text = |class, down, text: &str| {
            paint.text(class, Anchor::Start, (MARGIN, down), text);
        };
        text("title", 50.0, "How fast is the switch?");
        let how = format!("{}; {} plan", self.machine, self.plan);
        text("quiet", 74.0, &how);
        let panel = |top| Panel {
            left: 96.0,
            top,
            width: 640.0,
            height: 300.0,
        };
        throughput(&mut paint, &panel(150.0), self.section(BySize::SECTION));
        moves(&mut paint, &panel(570.0), self.section(HANDOVER));
        paint.finish()
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// Frames a second by the number of bindings, a curve for each way.
fn throughput(paint: &mut Paint, panel: &Panel, section: Option<&Section>) {
    let title = "Frames a second on one CPU, by the number of bindings";
    let mut curves: Vec<Curve> = Vec::new();
    let rows = section.map_or(&[][..], |section| &section.rows);
    for row in rows {
        let (Some(by), Some((rates, _))) = (BySize::read(&row.what), measured(&row.ours)) else {
            continue;
        };
        let point = (f64::from(by.bindings), rates.median());
        let spread = (point.0, rates.least(), rates.most());
        let at = curves.iter_mut().position(|curve| curve.name == by.way);
        let at = at.unwrap_or_else(|| {
            curves.push(Curve::new(by.way));
            curves.len() - 1
        });
        curves[at].points.push(point);
        curves[at].spreads.push(spread);
    }
    let most = curves.iter().flat_map(|curve| &curve.spreads);
    let most = most.map(|(.., most)| *most).fold(0.0, f64::max);
    let x = Axis::decades(curves.iter().flat_map(Curve::along), |bindings| {
        Unit::Frames.text(bindings)
    });
    let y = Axis::from_zero(most, |rate| Unit::FramesPerSecond.text(rate));
    panel.draw(paint, title, x, y, &curves);
}

/// How many of the moves are over after how long.
fn moves(paint: &mut Paint, panel: &Panel, section: Option<&Section>) {
    let title = "Moves that are over, by the time since the moved VM's first frame";
    let rows = section.map_or(&[][..], |section| &section.rows);
    let curves: Vec<_> = rows.iter().flat_map(distributions).collect();
    let x = Axis::decades(curves.iter().flat_map(Curve::along), |time| {
        Unit::Nanoseconds.text(time)
    });
    let y = Axis::from_zero(1.0, |part| format!("{:.0} %", part * 100.0));
    panel.draw(paint, title, x, y, &curves);
}

/// The times of a row as distributions: the switch's, and the other's.
fn distributions(row: &Row) -> Vec<Curve> {
    let what = row.what.split(": ").next().unwrap_or(&row.what);
    let other = row.against.as_ref();
    let other = other.map(|other| (other.name, &other.outcome));
    let both = [(what, &row.ours)].into_iter().chain(other);
    let curves = both.filter_map(|(name, outcome)| {
        let (times, unit) = measured(outcome)?;
        let nanoseconds = match unit {
            Unit::Nanoseconds => 1.0,
            Unit::Seconds => 1e9,
            _ => return None,
        };
        (times.count() >= MANY).then(|| distribution(name, times, nanoseconds))
    });
    curves.collect()
}

fn distribution(name: &str, times: &Samples, nanoseconds: f64) -> Curve {
    let mut curve = Curve::new(name);
    for per_cent in 0..=100 {
        let per_cent = f64::from(per_cent);
        let time = times.percentile(per_cent) * nanoseconds;
        curve.points.push((time, per_cent / 100.0));
    }
    curve
}

fn measured(outcome: &Outcome) -> Option<(&Samples, Unit)> {
    match outcome {
        Outcome::Measured(samples, unit) => Some((samples, *unit)),
        Outcome::Missing(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Machine;

    fn row(what: &str, figures: Vec<f64>, unit: Unit) -> Row {
        let samples = Samples::new(figures).expect("figures");
        Row {
            what: what.to_owned(),
            ours: Outcome::Measured(samples, unit),
            against: None,
            goal: None,
        }
    }

    fn report(sections: Vec<Section>) -> Report {
        Report {
            machine: Machine {
                kernel: "6.1.0".to_owned(),
                cpu: "A & B <CPU>".to_owned(),
                cpus: 2,
            },
            plan: "quick",
            sections,
            failed: Vec::new(),
        }
    }

    /// How often a class is drawn.
    fn count(drawn: &str, class: &str) -> usize {
        drawn.matches(&format!("class=\"{class}\"")).count()
    }

    #[test]
    fn each_way_and_each_kind_of_move_has_a_curve() {
        let rate = |what: &str| row(what, vec![2e6, 1e6, 3e6], Unit::FramesPerSecond);
        let times: Vec<_> = (1..=200).map(|n| f64::from(n) * 1e3).collect();
        let drawn = report(vec![
            Section {
                name: BySize::SECTION,
                title: "",
                rows: vec![
                    rate("1000 bindings, down"),
                    rate("1000000 bindings, down"),
                    rate("1000 bindings, up"),
                ],
            },
            Section {
                name: HANDOVER,
                title: "",
                rows: vec![
                    row("idle: median", times, Unit::Nanoseconds),
                    row("idle: 99th percentile", vec![7.0], Unit::Nanoseconds),
                ],
            },
        ])
        .picture()
        .to_string();
        assert_eq!(
            count(&drawn, "curve0"),
            2 * 2,
            "curves and their keys: {drawn}"
        );
        assert_eq!(count(&drawn, "curve1"), 2);
        assert_eq!(count(&drawn, "spread"), 3);
        assert!(drawn.contains("A &amp; B &lt;CPU&gt;"), "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let drawn = report(Vec::new()).picture().to_string();
        assert_eq!(drawn.matches("not measured in this run").count(), 2);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }
}
