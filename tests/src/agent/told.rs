//! What a switch tells of itself, as its command line does in JSON.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Agent, CLI_PATIENCE, Stats};
use crate::poll::patience;

impl Agent {
    /// Asks the running process for its `stats` or `flows` at the control socket, as the command
    /// line does, but without a process for each question. Gives what the answers hold.
    ///
    /// # Errors
    /// When it does not run, or does not answer.
    pub fn ask(&self, request: &str) -> Result<Vec<Value>> {
        let path = format!("/run/switch-agent/{}.sock", self.instance());
        let mut socket =
            UnixStream::connect(&path).with_context(|| format!("connect to {path}"))?;
        socket.set_read_timeout(Some(patience(CLI_PATIENCE)))?;
        writeln!(
            socket,
            "{}",
            json!({"instance": self.instance(), "request": request})
        )?;
        let mut answers = Vec::new();
        let mut done = false;
        for line in BufReader::new(socket).lines() {
            let answer: Value = serde_json::from_str(&line?).context("read an answer")?;
            match answer["response"].as_str() {
                Some("done") => done = true,
                Some(field @ ("stats" | "flow")) => answers.push(answer[field].clone()),
                _ => bail!("asked for {request}, the answer is {answer}"),
            }
        }
        ensure!(done, "the answer to {request} was cut off");
        Ok(answers)
    }

    /// The counters.
    ///
    /// # Errors
    /// When there are none, neither of the agent nor pinned.
    pub fn stats(&self) -> Result<Stats> {
        self.cli_ok(&["stats", "--json"])?.parse()
    }

    /// The flow table.
    ///
    /// # Errors
    /// As [`Agent::stats`].
    pub fn flows(&self) -> Result<Vec<Value>> {
        let text = self.cli_ok(&["flows", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("read the flow table from {text}"))
    }

    /// The flow of an address, if there is one.
    ///
    /// # Errors
    /// As [`Agent::stats`].
    pub fn flow(&self, address: &str) -> Result<Option<Value>> {
        let flows = self.flows()?;
        Ok(flows.into_iter().find(|flow| flow["address"] == address))
    }

    /// What happened, the oldest first.
    ///
    /// # Errors
    /// When the agent does not run.
    pub fn events(&self) -> Result<Vec<Value>> {
        let text = self.cli_ok(&["events", "--json"])?;
        let event = |line: &str| {
            serde_json::from_str(line).with_context(|| format!("read an event from {line}"))
        };
        text.lines().map(event).collect()
    }
}
