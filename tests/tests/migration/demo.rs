//! `demo --vm`, as a newcomer runs it.

use std::process::Command;

use anyhow::{Result, ensure};

use super::turn;

#[test]
fn migrates_guests_of_every_kind_and_loses_nothing() -> Result<()> {
    let _turn = turn();
    let demo = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--vm", "--moves", "1"])
        .output()?;
    let (shown, said) = (
        String::from_utf8(demo.stdout)?,
        String::from_utf8_lossy(&demo.stderr),
    );
    ensure!(demo.status.success(), "{}\n{shown}{said}", demo.status);
    let lines: Vec<String> = shown.lines().map(words).collect();
    for guest in [
        "busy",
        "busy, post-copy",
        "idle",
        "idle, RARP only",
        "idle, e1000",
    ] {
        for wanted in [
            format!("{guest}: the guest runs in dc1"),
            format!("OK {guest}: nothing was lost or reordered at the switch"),
        ] {
            ensure!(
                lines.iter().any(|line| line.ends_with(&wanted)),
                "no {wanted:?} in\n{shown}"
            );
        }
    }
    let first = "what tells the switch first RARP RARP RARP RARP RARP";
    ensure!(lines.iter().any(|line| line == first), "{shown}");
    Ok(())
}

/// A line with one space between its words.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
