//! The demo, as a newcomer runs it.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::poll_until;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

const DEMO: &str = env!("CARGO_BIN_EXE_demo");
const SOON: Duration = Duration::from_secs(10);

#[test]
fn it_moves_the_vm_and_loses_nothing_at_the_switch() -> Result<()> {
    let output = Command::new(DEMO).args(["--moves", "2"]).output()?;
    let shown = String::from_utf8(output.stdout)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}\n{shown}{said}", output.status);
    assert_eq!(said, "");
    ensure!(!shown.contains('\x1b'), "colours in a pipe: {shown:?}");
    // Cells are as wide as their columns, so words are compared.
    let lines: Vec<_> = shown.lines().map(words).collect();
    let flow = |site: u8, down: bool| {
        if down {
            format!("10.0.0.13 learned dc{site} down in t0 vlan {site} src 10.0.0.13 untag out c0")
        } else {
            format!("10.0.0.13 learned dc{site} up in c0 dst 10.0.0.13 vlan {site} out t0")
        }
    };
    let wanted = [
        "the flow table before the first move:",
        &flow(1, false),
        &flow(1, true),
        "move 1: dc1 -> dc2, paused",
        "the flow table after it:",
        &flow(2, false),
        &flow(2, true),
        "move 2: dc2 -> dc1, paused",
        "the agent was killed",
        "move 3: dc1 -> dc2, paused",
        "SYSTEM first",
        "moves 2",
        "gap at the PC, median / worst",
        "gap at the VM, median / worst",
        "a move after kill -9 and restart works",
        "UDP VM -> PC, lost 0 of",
        "UDP PC -> VM, lost",
        "frames lost at the switch 0 of",
        "frames lost in the network",
        "OK nothing was lost at the switch",
    ];
    let mut rest = lines.iter();
    for wanted in wanted {
        ensure!(
            rest.any(|line| line.contains(wanted)),
            "no line `{wanted}` where it should be in\n{shown}"
        );
    }
    Ok(())
}

#[test]
fn ctrl_c_ends_it_and_leaves_nothing_behind() -> Result<()> {
    // A group of its own, as a shell gives it: Ctrl-C is for all of the group.
    let mut demo = Command::new(DEMO)
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let group = Pid::from_raw(i32::try_from(demo.id())?);
    // The first instance of that process.
    let instance = format!("t-{group}-0");
    let pins = Path::new("/sys/fs/bpf/switch-agent").join(&instance);
    let sockets = Path::new("/run/switch-agent");

    let mut shown = BufReader::new(demo.stdout.take().context("its output")?).lines();
    let running = shown.any(|line| line.is_ok_and(|line| line.contains("traffic runs")));
    ensure!(running, "it ended before there was traffic");
    ensure!(pins.exists(), "{} is not there", pins.display());

    killpg(group, Signal::SIGINT)?;
    let status = poll_until(SOON, "the demo to end", || demo.try_wait().transpose())??;
    let mut said = String::new();
    let mut stderr = demo.stderr.take().context("its errors")?;
    stderr.read_to_string(&mut said)?;
    assert_eq!(status.code(), Some(130), "{said}");
    assert_eq!(said, "demo: interrupted; everything is cleaned up\n");
    ensure!(!pins.exists(), "{} is left", pins.display());
    for ending in ["sock", "ports"] {
        let file = sockets.join(format!("{instance}.{ending}"));
        ensure!(!file.exists(), "{} is left", file.display());
    }
    Ok(())
}

#[test]
fn wrong_usage_is_told_from_failure() -> Result<()> {
    for arguments in [["--system", "third"], ["--moves", "0"]] {
        let output = Command::new(DEMO).args(arguments).output()?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    Ok(())
}

/// The line with single spaces only.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
