//! What init said on the serial console, read.

/// Begins the line that a command begins with; its name follows.
pub const RUNS: &str = "guest: runs";
/// Begins the line that a command ends with; its name and exit status follow.
pub const EXITED: &str = "guest: exited";
/// The last line.
pub const DONE: &str = "guest: done";

/// A guest's words, from its boot to its end.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// As they came.
    pub text: String,
    /// Why it was ended from outside, if it was.
    pub ended: Option<String>,
}

/// A command that ran to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Its name in init.
    pub name: &'a str,
    /// Its exit status.
    pub status: u8,
    /// What it wrote.
    pub output: Vec<&'a str>,
}

impl Transcript {
    /// The commands that came to their end.
    pub fn commands(&self) -> Vec<Command<'_>> {
        let mut commands = Vec::new();
        let mut output = Vec::new();
        for line in self.lines() {
            if line.starts_with(RUNS) {
                output.clear();
            } else if let Some(ended) = line.strip_prefix(EXITED) {
                let Some((name, status)) = ended.trim().split_once(' ') else {
                    continue;
                };
                commands.push(Command {
                    name,
                    status: status.parse().unwrap_or(u8::MAX),
                    output: std::mem::take(&mut output),
                });
            } else if !line.is_empty() {
                output.push(line);
            }
        }
        commands
    }

    /// Whether init came to its end.
    pub fn is_whole(&self) -> bool {
        self.lines().any(|line| line == DONE)
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(str::trim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_what_they_wrote() {
        let text = "[ 0.1] PCI\r\nguest: runs fixtures\r\n\r\nrunning 2 tests\r\n\r\n\
                    guest: exited fixtures 101\r\nguest: runs switch\r\nrunning\r\n";
        let said = Transcript {
            text: text.to_owned(),
            ended: None,
        };
        let fixtures = Command {
            name: "fixtures",
            status: 101,
            output: vec!["running 2 tests"],
        };
        assert_eq!(said.commands(), [fixtures]);
        assert!(!said.is_whole());
    }
}
