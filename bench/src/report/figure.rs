//! Figures as people read them.

use super::{Outcome, Samples, Unit};

impl Unit {
    /// What is written behind a figure, and how often 1000 goes into it at most: `1.31 M/s`.
    const fn words(self) -> (&'static str, Scale) {
        match self {
            Self::FramesPerSecond => ("/s", Scale::UP),
            Self::BitsPerSecond => ("bit/s", Scale::UP),
            Self::Bytes => ("B", Scale::UP),
            Self::Frames => ("", Scale::UP),
            Self::Nanoseconds => ("s", Scale::NANO),
            Self::Seconds => ("s", Scale::ONE),
        }
    }

    /// A figure in this unit, with three digits that count.
    pub fn text(self, figure: f64) -> String {
        let (unit, Scale { prefixes, first }) = self.words();
        if figure == 0.0 {
            return format!("0 {unit}").trim_end().to_owned();
        }
        let (mut figure, mut at) = (figure, first);
        // What would be rounded up to 1000 is too large as well.
        while figure.abs() >= 999.5 && at + 1 < prefixes.len() {
            (figure, at) = (figure / 1000.0, at + 1);
        }
        while figure.abs() < 0.9995 && at > 0 {
            (figure, at) = (figure * 1000.0, at - 1);
        }
        let digits = digits(figure);
        format!("{figure:.digits$} {}{unit}", prefixes[at])
            .trim_end()
            .to_owned()
    }

    /// The middle of some figures, and from where to where they reach.
    pub fn spread(self, samples: &Samples) -> String {
        let (least, most) = (self.text(samples.least()), self.text(samples.most()));
        let median = self.text(samples.median());
        if samples.count() == 1 {
            return median;
        }
        format!("{median} ({least} … {most})")
    }
}

/// Decimal prefixes, and which of them a plain figure has.
struct Scale {
    prefixes: &'static [&'static str],
    first: usize,
}

impl Scale {
    const UP: Self = Self {
        prefixes: &["", "k", "M", "G", "T"],
        first: 0,
    };
    const NANO: Self = Self {
        prefixes: &["n", "µ", "m", ""],
        first: 0,
    };
    const ONE: Self = Self {
        prefixes: &["n", "µ", "m", ""],
        first: 3,
    };
}

/// How many digits behind the point make three in all.
fn digits(figure: f64) -> usize {
    match figure.abs() {
        large if large >= 99.95 => 0,
        middle if middle >= 9.995 => 1,
        _ => 2,
    }
}

/// A ratio, as it is compared with a goal.
pub fn ratio(samples: &Samples) -> String {
    let (median, least, most) = (samples.median(), samples.least(), samples.most());
    if samples.count() == 1 {
        return format!("{median:.2}");
    }
    format!("{median:.2} ({least:.2} … {most:.2})")
}

/// What was measured, or why nothing was.
pub fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(samples, unit) => unit.spread(samples),
        Outcome::Missing(why) => format!("not measured: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_prefix() {
        for (unit, figure, text) in [
            (Unit::FramesPerSecond, 1_312_672.0, "1.31 M/s"),
            (Unit::FramesPerSecond, 999_600.0, "1.00 M/s"),
            (Unit::FramesPerSecond, 42.0, "42.0 /s"),
            (Unit::BitsPerSecond, 9.41e9, "9.41 Gbit/s"),
            (Unit::Nanoseconds, 58.0, "58.0 ns"),
            (Unit::Nanoseconds, 12_345.0, "12.3 µs"),
            (Unit::Nanoseconds, -3.0, "-3.00 ns"),
            (Unit::Seconds, 0.0125, "12.5 ms"),
            (Unit::Seconds, 90.0, "90.0 s"),
            (Unit::Seconds, 0.0, "0 s"),
            (Unit::Bytes, 312_000_000.0, "312 MB"),
            (Unit::Frames, 0.0, "0"),
        ] {
            assert_eq!(unit.text(figure), text);
        }
    }

    #[test]
    fn several_runs_have_a_spread() {
        let samples = Samples::new(vec![3.0, 1.0, 2.0]).expect("figures");
        assert_eq!(ratio(&samples), "2.00 (1.00 … 3.00)");
        let one = Samples::new(vec![2.0]).expect("a figure");
        assert_eq!(ratio(&one), "2.00");
        let missing = Outcome::Missing("ovs-vswitchd is not installed".to_owned());
        assert_eq!(
            outcome(&missing),
            "not measured: ovs-vswitchd is not installed"
        );
    }
}
