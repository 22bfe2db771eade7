//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, builder::PossibleValuesParser};
use lab::conventional::control_device;

use crate::measure::SECTIONS;

/// Measures how fast the switch is, and at what cost, beside others in the same run
///
/// Everything is compared with something on this machine, in runs that take turns, so that ratios hold
/// where figures do not. Needs root; what it puts up is gone when it ends. What is not installed, such as
/// Open vSwitch, is said to be missing. The exit status says whether it could measure, not what came out.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub struct Args {
    /// A minute or two, not ten: fewer runs of less
    #[arg(long)]
    pub quick: bool,

    /// Measure this only; may be repeated
    #[arg(long, value_name = "SECTION", value_parser = names())]
    pub only: Vec<String>,

    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Where to draw it [default: bench.svg beside this program]
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,

    #[command(subcommand)]
    pub part: Option<Part>,
}

/// What the benchmark starts as a process of its own.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// The control device of Fig. 7
    #[command(hide = true)]
    ControlDevice(control_device::Args),
}

fn names() -> PossibleValuesParser {
    SECTIONS.map(|(name, _)| name).into()
}

impl Args {
    /// Whether a section is asked for.
    pub fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == section)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn without_a_choice_all_is_wanted() {
        let args = |line: &[&str]| Args::try_parse_from([&["bench"], line].concat());
        assert!(args(&[]).expect("no options").wants("forwarding"));
        let some = args(&["--only", "forwarding"]).expect("a section");
        assert!(some.wants("forwarding") && !some.wants("table-size"));
        args(&["--only", "nonsense"]).expect_err("no such section");
    }
}
