//! What is made of a guest's words.

use std::fmt;

use crate::{
    plan::{self, Expected, MINIMUM, TESTS, Version},
    transcript::{Command, Transcript},
};

/// How a kernel did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many tests passed, and none failed.
    Passed(u32),
    /// The agent refused as it must, with these words.
    Refused(String),
    /// What did not go as it must.
    Failed(Vec<String>),
    /// Why the kernel was not tried.
    Skipped(String),
}

impl Verdict {
    /// Reads it from what the guest said.
    pub fn of(version: Version, said: &Transcript) -> Self {
        let commands = said.commands();
        let mut verdict = match plan::expected(version) {
            Expected::Pass => passed(&commands),
            Expected::Refuse => refused(&commands),
        };
        if let Some(why) = &said.ended {
            verdict = verdict.with(why.clone());
        } else if !said.is_whole() {
            verdict = verdict.with("the guest ended before its tests did".to_owned());
        }
        verdict
    }

    /// Whether the run may go on to succeed.
    pub fn is_good(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    fn with(self, failure: String) -> Self {
        let mut failures = match self {
            Self::Failed(failures) => failures,
            _ => Vec::new(),
        };
        failures.push(failure);
        Self::Failed(failures)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(count) => write!(f, "passed {count} tests"),
            Self::Refused(words) => write!(f, "refused: {words}"),
            Self::Failed(what) => write!(f, "FAILED: {}", what.join(", ")),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

fn passed(commands: &[Command<'_>]) -> Verdict {
    let mut count = 0;
    let mut failures = Vec::new();
    for tests in TESTS {
        let name = tests.program;
        let Some(command) = commands.iter().find(|command| command.name == name) else {
            failures.push(format!("{name} did not end"));
            continue;
        };
        let ran = results(&command.output);
        count += ran;
        failures.extend(failed(&command.output).map(|test| format!("{name} {test}")));
        if command.status != 0 && failed(&command.output).next().is_none() {
            failures.push(format!("{name} ended with status {}", command.status));
        } else if ran == 0 {
            failures.push(format!("{name} ran no test"));
        }
    }
    if failures.is_empty() {
        Verdict::Passed(count)
    } else {
        Verdict::Failed(failures)
    }
}

/// How many passed, of libtest's `test result: ok. 3 passed; 0 failed; …`.
fn results(output: &[&str]) -> u32 {
    output
        .iter()
        .filter_map(|line| line.split_once("test result: ")?.1.split_once(". "))
        .filter_map(|(_, counts)| counts.split_once(" passed")?.0.parse::<u32>().ok())
        .sum()
}

/// The tests that libtest lists last, below `failures:`. (The lines `test NAME ... FAILED` may have the
/// kernel's own words in them.)
fn failed<'a>(output: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let last = output.iter().rposition(|line| *line == "failures:");
    let listed = last.map_or(&[][..], |at| &output[at + 1..]);
    let is_name = |line: &&str| line.contains("::") && !line.contains(' ');
    listed.iter().copied().take_while(move |line| is_name(line))
}

/// Every verb has to end with status 1 and one line, which names the version that is needed; `check` may warn
/// of the ports as well.
fn refused(commands: &[Command<'_>]) -> Verdict {
    let needed = format!("boot Linux {}.{} or newer", MINIMUM.0, MINIMUM.1);
    let mut failures = Vec::new();
    if commands.is_empty() {
        failures.push("the agent was not tried".to_owned());
    }
    for Command {
        name,
        status,
        output,
    } in commands
    {
        let lines: Vec<_> = output.iter().filter(|line| is_the_agents(line)).collect();
        match lines.as_slice() {
            [line] if *status == 1 && line.contains("lacks") && line.ends_with(&needed) => {}
            _ => failures.push(format!(
                "{name} does not refuse in a line with the version it needs, but ends with status \
                 {status} and {lines:?}"
            )),
        }
    }
    match commands.first() {
        Some(command) if failures.is_empty() => {
            let line = command.output.iter().find(|line| is_the_agents(line));
            Verdict::Refused(line.map_or(String::new(), |line| (*line).to_owned()))
        }
        _ => Verdict::Failed(failures),
    }
}

/// The kernel writes on the same console, with the time in front.
fn is_the_agents(line: &str) -> bool {
    !line.starts_with('[') && !line.starts_with("warning: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command<'a>(name: &'a str, status: u8, output: &[&'a str]) -> Command<'a> {
        Command {
            name,
            status,
            output: output.to_vec(),
        }
    }

    #[test]
    fn every_program_must_run_and_pass() {
        let ok = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out";
        let mut commands = TESTS.map(|tests| command(tests.program, 0, &[ok]));
        assert_eq!(passed(&commands), Verdict::Passed(9));
        let output = [
            "failures:",
            "---- moves::back stdout ----",
            "failures:",
            "moves::back",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored",
        ];
        commands[1] = command("switch", 101, &output);
        assert_eq!(
            passed(&commands),
            Verdict::Failed(vec!["switch moves::back".to_owned()])
        );
        assert!(matches!(passed(&commands[..1]), Verdict::Failed(failures) if failures.len() == 2));
    }

    #[test]
    fn a_refusal_is_one_line_with_a_version() {
        let line = "switch-agent: kernel 5.10 lacks X; boot Linux 5.12 or newer";
        let kernel = "[    3.1] random: crng init done";
        let good = command("run", 1, &["warning: no carrier", kernel, line]);
        assert_eq!(
            refused(std::slice::from_ref(&good)),
            Verdict::Refused(line.to_owned())
        );
        for bad in [
            command("run", 0, &[line]),
            command("run", 1, &["error: EINVAL"]),
            command("run", 1, &[line, "and more"]),
        ] {
            assert!(!refused(&[good.clone(), bad]).is_good());
        }
        assert!(!refused(&[]).is_good());
    }
}
