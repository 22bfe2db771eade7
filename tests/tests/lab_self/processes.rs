//! Commands and agents in a namespace.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Result, ensure};
use lab::{Agent, Namespace, agent};
use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::SOON;

#[test]
fn a_command_starts_in_the_namespace_and_sees_the_same_files() -> Result<()> {
    let ns = Namespace::new("command")?;
    let script =
        "readlink /proc/self/ns/net; stat -f -c %T /sys/fs/bpf; cat /proc/net/dev | grep -c :";
    let output = ns.command("sh").args(["-c", script]).output()?;
    let bpf = ns
        .command("stat")
        .args(["-f", "-c", "%T", "/sys/fs/bpf"])
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    let bpf = String::from_utf8(bpf.stdout)?;
    assert_eq!(said, format!("net:[{}]\n{bpf}1\n", ns.inode()?));
    Ok(())
}

/// Stands in for `switch-agent`: says `ready`, and notes what it was told in a file.
const STUB: &str = r#"#!/bin/sh
echo "$@" >>"$0.log"
case "$3" in
run) trap 'exit 7' INT; echo "already here" >&2; echo "level=INFO ready" >&2; while :; do read -r x <"$0.fifo"; done ;;
fail) echo "no such port" >&2; exit 1 ;;
*) readlink /proc/self/ns/net ;;
esac
"#;

#[test]
fn an_agent_is_started_watched_and_cleaned_up_after() -> Result<()> {
    let stub = env::temp_dir().join(agent::instance());
    fs::write(&stub, STUB)?;
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755))?;
    let (log, fifo) = (stub.with_extension("log"), stub.with_extension("fifo"));
    mkfifo(&fifo, Mode::S_IRWXU)?;
    let result = exercise_agent(&stub, &log);
    for file in [&stub, &log, &fifo] {
        drop(fs::remove_file(file));
    }
    result
}

fn exercise_agent(stub: &Path, log: &Path) -> Result<()> {
    let ns = Namespace::new("agent")?;
    let name = agent::instance();
    let mut agent = Agent::start_binary(stub, &ns, &name, &["run", "--client", "c0"])?;
    agent.wait_ready(SOON)?;
    assert_eq!(agent.stderr(), "already here\nlevel=INFO ready");
    assert_eq!(
        agent.cli_ok(&["flows"])?,
        format!("net:[{}]\n", ns.inode()?)
    );
    agent.kill9()?;
    let mut agent = agent.restart(&["run"])?;
    agent.wait_ready(SOON)?;
    assert_eq!(agent.interrupt(SOON)?.code(), Some(7));
    drop(agent);

    let mut agent = Agent::start_binary(stub, &ns, &name, &["fail"])?;
    let error = agent.wait_ready(SOON).expect_err("it never gets ready");
    let error = format!("{error:#}");
    ensure!(
        error.contains("exit status: 1") && error.contains("no such port"),
        "{error}"
    );
    drop(agent);

    let told: Vec<_> = fs::read_to_string(log)?
        .lines()
        .map(|line| {
            line.trim_start_matches(&format!("--instance {name} "))
                .to_owned()
        })
        .collect();
    assert_eq!(
        told,
        [
            "run --client c0",
            "flows",
            "run",
            "detach",
            "fail",
            "detach"
        ]
    );
    Ok(())
}
