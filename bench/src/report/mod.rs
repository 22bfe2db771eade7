//! What was measured: sections of rows, which table, JSON and picture are made of.

mod by_size;
mod figure;
mod machine;
mod picture;
mod samples;
mod text;

pub use by_size::BySize;
pub use machine::Machine;
pub use samples::Samples;

use serde::Serialize;

/// Everything that one run has measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// On what.
    pub machine: Machine,
    /// How thoroughly: `quick` or `full`.
    pub plan: &'static str,
    /// What.
    pub sections: Vec<Section>,
    /// What could not be measured.
    pub failed: Vec<Failure>,
}

/// A question without an answer: the machine, or the switch, did not do what was expected.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// The section's name.
    pub section: &'static str,
    /// What went wrong.
    pub why: String,
}

/// One question, measured in several ways.
#[derive(Debug, Serialize)]
pub struct Section {
    /// A word for the command line and JSON, such as `forwarding`.
    pub name: &'static str,
    /// What was asked.
    pub title: &'static str,
    /// The answers.
    pub rows: Vec<Row>,
}

/// One comparison, or one figure that stands for itself.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured, such as `64 bytes, down, IPv4, one flow`.
    pub what: String,
    /// The switch's figure.
    pub ours: Outcome,
    /// What it is compared with.
    pub against: Option<Against>,
    /// What it should be.
    pub goal: Option<Goal>,
}

/// A figure, or why there is none. It is never made up.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Figures of repeated runs, in this unit.
    Measured(Samples, Unit),
    /// What was missing.
    Missing(String),
}

/// What the switch is compared with.
#[derive(Debug, Serialize)]
pub struct Against {
    /// Its name, such as `Linux bridge`.
    pub name: &'static str,
    /// Its figure.
    pub outcome: Outcome,
    /// The switch's figure as a multiple of it, run by run: run `i` of both were neighbours in time.
    pub ratio: Option<Samples>,
}

/// What a figure or, where there is one, a ratio should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

/// What figures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Frames in a second.
    FramesPerSecond,
    /// Bits in a second.
    BitsPerSecond,
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Frames.
    Frames,
}

impl Row {
    /// The figure that a goal is about: the ratio where there is another system, else the switch's own,
    /// in its unit. Nothing where either was not measured.
    pub fn judged(&self) -> Option<(f64, Option<Unit>)> {
        let Outcome::Measured(ours, unit) = &self.ours else {
            return None;
        };
        match &self.against {
            Some(Against {
                ratio: Some(ratio), ..
            }) => Some((ratio.median(), None)),
            Some(Against {
                outcome: Outcome::Missing(_),
                ..
            }) => None,
            _ => Some((ours.median(), Some(*unit))),
        }
    }
}

impl Goal {
    /// Whether a figure is what it should be.
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}
