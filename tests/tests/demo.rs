//! The demo, as a newcomer runs it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
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
fn all_systems_move_the_vm_and_lose_nothing_at_the_switch() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let svg = directory.path().join("moves.svg");
    let output = Command::new(DEMO)
        .args(["--moves", "2", "--svg"])
        .arg(&svg)
        .output()?;
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
        "first: Fig. 1 to 4, a busy VM",
        "the flow table before the first move:",
        &flow(1, false),
        &flow(1, true),
        "move 1: dc1 -> dc2, paused",
        "the flow table after it:",
        &flow(2, false),
        &flow(2, true),
        "move 2: dc2 -> dc1, paused",
        "our agents were killed",
        "move 3: dc1 -> dc2, paused",
        "second: Fig. 5 and 6, an idle VM",
        "move 2: dc2 -> dc1, paused",
        "our agents were killed",
        "move 3: dc1 -> dc2, paused",
        "conventional: Fig. 7, an idle VM",
        "move 2: dc2 -> dc1, paused",
        "our agents were killed",
        "move 3: dc1 -> dc2, paused",
        "the control device was killed",
        "move 4: dc2 -> dc1: not one answer",
        "an operator moves it by hand",
        "SYSTEM first second conventional",
        "what triggers the switch the VM's first packet the gateway's learning packet \
         the control device's order",
        "moves 2 2 2",
        "gap at the PC, median / worst",
        "packets lost in a gap",
        "lines that an operator keeps 0 0 3",
        "a move after kill -9 and restart works, gap",
        "a move without the control device there is none there is none fails,",
        "UDP 0 lost",
        "frames lost at the switch 0 of",
        "OK first: nothing was lost at the switch",
        "OK second: nothing was lost at the switch",
        "OK conventional: nothing was lost at the switch",
    ];
    let mut rest = lines.iter();
    for wanted in wanted {
        ensure!(
            rest.any(|line| line.contains(wanted)),
            "no line `{wanted}` where it should be in\n{shown}"
        );
    }
    let drawn = fs::read_to_string(&svg)?;
    for system in [
        "First embodiment",
        "Second embodiment",
        "Conventional system",
    ] {
        ensure!(drawn.contains(system), "no {system} in\n{drawn}");
    }
    Ok(())
}

#[test]
fn ctrl_c_ends_it_and_leaves_nothing_behind() -> Result<()> {
    // The system with the most processes. They get a group of their own, as a shell gives it:
    // Ctrl-C is for all of the group.
    let directory = tempfile::tempdir()?;
    let mut demo = Command::new(DEMO)
        .args(["--system", "conventional", "--svg", "moves.svg"])
        .current_dir(&directory)
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let group = Pid::from_raw(i32::try_from(demo.id())?);
    // So begins the name of each instance that the process starts.
    let instance = format!("t-{group}-");
    let mut shown = BufReader::new(demo.stdout.take().context("its output")?).lines();
    let running = shown.any(|line| line.is_ok_and(|line| line.contains("move 1")));
    ensure!(running, "it ended before the VM moved");
    // A switch and two helpers.
    assert_eq!(names("/sys/fs/bpf/switch-agent", &instance)?.len(), 3);
    // And the control device.
    assert_eq!(processes(&instance)?, 4);

    killpg(group, Signal::SIGINT)?;
    let status = poll_until(SOON, "the demo to end", || demo.try_wait().transpose())??;
    let mut said = String::new();
    let mut stderr = demo.stderr.take().context("its errors")?;
    stderr.read_to_string(&mut said)?;
    assert_eq!(status.code(), Some(130), "{said}");
    assert_eq!(said, "demo: interrupted; everything is cleaned up\n");
    assert_eq!(processes(&instance)?, 0);
    for place in ["/sys/fs/bpf/switch-agent", "/run/switch-agent"] {
        assert_eq!(names(place, &instance)?, [] as [String; 0], "in {place}");
    }
    let left: Vec<_> = fs::read_dir(&directory)?.collect();
    ensure!(left.is_empty(), "{left:?} is left");
    Ok(())
}

/// What in a directory has a name that begins so.
fn names(directory: &str, beginning: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("read {directory}"))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    Ok(names
        .into_iter()
        .filter(|name| name.starts_with(beginning))
        .collect())
}

/// How many processes have an argument that begins so.
fn processes(beginning: &str) -> Result<usize> {
    let entries: Vec<_> = fs::read_dir("/proc")?.collect::<Result<_, _>>()?;
    // What is no process has no command line, and one that has just ended has none any more.
    let commands = entries
        .iter()
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    let ours = commands.filter(|command| command.split('\0').any(|arg| arg.starts_with(beginning)));
    Ok(ours.count())
}

#[test]
fn wrong_usage_is_told_from_failure() -> Result<()> {
    for arguments in [["--system", "third"], ["--moves", "0"]] {
        let output = Command::new(DEMO).args(arguments).output()?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn a_picture_that_cannot_be_is_told_at_once() -> Result<()> {
    let output = Command::new(DEMO)
        .args(["--svg", "/nowhere/moves.svg"])
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let said = String::from_utf8(output.stderr)?;
    ensure!(
        said.starts_with("demo: make a place for /nowhere/moves.svg: "),
        "{said}"
    );
    Ok(())
}

/// The line with single spaces only.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
