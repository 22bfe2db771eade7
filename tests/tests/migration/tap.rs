//! A guest's tap as the gateway's port, with no bridge between.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lab::{
    agent::{Running, binary},
    vm::{Card, Guest, Habit, Parts, Plan, Session, TAP},
};

use super::{GUEST, Stage, answers};

/// What a gateway is started with.
const GATEWAY: [&str; 7] = [
    "gateway",
    "--lan",
    TAP,
    "--trunk",
    "up:1",
    "--announce-to",
    "224.0.0.1",
];

/// Starts a guest on a tap that is nobody's port yet.
fn start(stage: &Stage, plan: &Plan) -> Result<Guest> {
    stage.lab.open_gateway(0)?;
    let parts = Parts::new(plan.card, Path::new(GUEST))?;
    Guest::start(&stage.lab, 0, plan.clone(), parts)
}

/// What `gateway --check` says of it.
fn checked(stage: &Stage) -> Result<String> {
    let mut check = stage.lab.dc[0].ns.command(binary()?);
    let output = check
        .args(GATEWAY)
        .arg("--check")
        .output()
        .context("run it")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let fit = format!("{TAP}, up: can be ports of a gateway\n");
    ensure!(
        output.status.success() && said.ends_with(&fit),
        "{output:?}"
    );
    Ok(said)
}

#[test]
fn carries_tcp_of_a_guest_without_offloads() -> Result<()> {
    let stage = Stage::first()?;
    let plan = Session::plan(&stage.lab, Habit::Busy, Card::Virtio);
    let mut guest = start(&stage, &plan)?;
    // It may have them on, for all that can be seen of it.
    let said = checked(&stage)?;
    ensure!(
        said.contains(&format!("the guest on tap {TAP} can leave checksums")),
        "{said}"
    );
    let state = tempfile::tempdir()?;
    let state = ["--state-dir", state.path().to_str().context("UTF-8")?];
    let gateway = Running::start(&stage.lab.dc[0].ns, GATEWAY.into_iter().chain(state))?;
    let session = Session::start(&stage.lab, Habit::Busy, || {
        guest.wait_ready()?;
        Ok(guest)
    })?;
    let stats = gateway.agent.cli_ok(&["stats", "--json"])?;
    let stats: serde_json::Value = serde_json::from_str(&stats)?;
    ensure!(stats["ports"][TAP]["mode"] == "native", "{stats}");
    // Where the client's frames come out there is nothing to listen at: XDP gives them to the guest.
    stage.judge(&session.finish()?.account)
}

#[test]
fn is_fit_without_headers() -> Result<()> {
    let stage = Stage::first()?;
    let plan = Plan::vm13(&["--echo", "7"]).with(Card::E1000);
    let mut guest = start(&stage, &plan)?;
    let said = checked(&stage)?;
    ensure!(!said.contains("warning"), "{said}");
    let state = tempfile::tempdir()?;
    let state = ["--state-dir", state.path().to_str().context("UTF-8")?];
    let _gateway = Running::start(&stage.lab.dc[0].ns, GATEWAY.into_iter().chain(state))?;
    guest.wait_ready()?;
    answers(&stage.lab, &plan).map(drop)
}

#[test]
fn is_told_of_when_the_guest_leaves_checksums_to_it() -> Result<()> {
    let stage = Stage::first()?;
    let plan = Plan::vm13(&["--echo", "7"]).with(Card::VirtioOffloading);
    let mut guest = start(&stage, &plan)?;
    guest.wait_ready()?;
    let said = checked(&stage)?;
    ensure!(
        said.contains(&format!("the guest on tap {TAP} leaves checksums")),
        "{said}"
    );
    Ok(())
}
