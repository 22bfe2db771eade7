//! The agent's end, wanted and unwanted, and its return.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab,
    net::{ethtool::set_features, link::XdpMode, pinned, xdp},
};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    LATER, RUN, SOON, V4,
    load::Load,
    mistakes::one_line,
    ports::{both, left_by},
    run, start,
    stream::{Bench, Pace},
};

const KEEP: [&str; 2] = ["--on-exit", "keep"];

/// Starts the instance again on what this agent has left.
pub fn restart(agent: Agent, arguments: &[&str]) -> Result<Agent> {
    let mut agent = agent.restart(arguments)?;
    agent.wait_ready(LATER)?;
    Ok(agent)
}

/// A flow without its counters.
fn rules(flow: Option<Value>) -> Result<Value> {
    let mut flow = flow.context("no flow")?;
    for rule in ["uplink", "downlink"] {
        flow[rule]["packets"] = 0.into();
        flow[rule]["bytes"] = 0.into();
    }
    Ok(flow)
}

#[test]
fn traffic_does_not_notice_a_killed_agent_nor_its_return() -> Result<()> {
    let (lab, vm, mut agent) = start(&[])?;
    lab.client.introduce(&vm)?;
    let load = Load::start(&lab.client, &vm)?;
    let before = rules(agent.flow("10.0.0.13")?)?;
    agent.kill9()?;
    load.goes_on()?;

    // Nobody runs, and yet there is an answer.
    assert_eq!(rules(agent.flow("10.0.0.13")?)?, before);
    let orphaned = agent.stats()?;
    assert_eq!(orphaned.agent(), (false, None));
    ensure!(orphaned.get("ports/c0/tx_packets") > 50, "{orphaned:?}");
    let order = agent.cli(&["unbind", "10.0.0.13"])?;
    assert_eq!(order.status.code(), Some(1));

    let agent = restart(agent, &RUN)?;
    load.goes_on()?;
    assert_eq!(rules(agent.flow("10.0.0.13")?)?, before);
    assert_eq!(agent.events()?, [] as [Value; 0], "nothing is new to it");
    let adopted = agent.stats()?;
    assert_eq!(adopted.agent(), (true, Some(agent.pid())));
    assert_eq!((adopted.get("created"), adopted.get("moves")), (1, 0));
    assert_eq!(adopted.faults(), []);
    for counter in [
        "ports/c0/tx_packets",
        "ports/t0/tx_bytes",
        "sites/dc1/rx_packets",
    ] {
        ensure!(
            adopted.get(counter) > orphaned.get(counter),
            "{counter} goes on"
        );
    }
    load.finish()
}

#[test]
fn a_hold_down_outlives_the_agent() -> Result<()> {
    let options = [&RUN[..], &["--hold-down", "1h"]].concat();
    let mut bench = Bench::start(&options[RUN.len()..])?;
    bench.speak(V4, 1)?;
    bench.speak(V4, 2)?;
    bench.wait_site(V4, "dc2")?;
    bench.agent.kill9()?;
    bench.speak(V4, 1)?;
    bench.agent = restart(bench.agent, &options)?;
    bench.speak(V4, 1)?;
    let stats = bench.agent.stats()?;
    assert_eq!((stats.get("late"), stats.get("moves")), (2, 1));
    let flow = bench.agent.flow("10.0.0.13")?.context("no flow")?;
    assert_eq!(
        (&flow["site"], &flow["previous_site"]),
        (&"dc2".into(), &"dc1".into())
    );
    Ok(())
}

#[test]
fn a_move_that_the_datapath_may_not_make_waits_for_the_next_agent() -> Result<()> {
    let options = [&RUN[..], &["--learn-in-datapath", "never"]].concat();
    let mut bench = Bench::start(&options[RUN.len()..])?;
    bench.speak(V4, 1)?;
    bench.agent.kill9()?;
    // All of these wait, also those of an address that nobody knows.
    bench
        .vms
        .send(Pace::Flood, 1000, &[(V4, 2), (crate::V6, 1)])?;
    bench.agent = restart(bench.agent, &options)?;
    bench.client.wait_for(bench.vms.sent(), SOON)?;
    bench.wait_site(V4, "dc2")?;
    let told = bench.agent.events()?;
    let kinds: Vec<_> = told.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["moved", "created"]);
    let stats = bench.agent.stats()?;
    assert_eq!((stats.get("created"), stats.get("moves")), (2, 1));
    assert_eq!(stats.faults(), []);
    bench.vms.check(&bench.client.finish()?)
}

/// Ports as an operator may have them: down, and with offloads on that a switch wants off.
fn unprepared() -> Result<Lab> {
    let lab = Lab::fig1()?;
    let on = [
        "rx-vlan-hw-parse",
        "tx-checksum-ip-generic",
        "tx-tcp-segmentation",
    ];
    for port in ["c0", "t0"] {
        set_features(&lab.switch, port, &on.map(|feature| (feature, true)))?;
    }
    lab.switch.set_down("c0")?;
    Ok(lab)
}

/// Whether both ports are the switch's.
fn taken(lab: &Lab) -> Result<bool> {
    Ok(both(lab)?.iter().all(|port| {
        let off = ["rx-vlan-hw-parse", "tx-tcp-segmentation"];
        port.up
            && port.promiscuity > 0
            && port.xdp == Some(XdpMode::Native)
            && off.iter().all(|feature| !port.features[*feature])
    }))
}

#[test]
fn a_clean_end_puts_the_ports_back() -> Result<()> {
    let lab = unprepared()?;
    let before = both(&lab)?;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut agent = run(&lab.switch, &RUN)?;
        ensure!(taken(&lab)?, "{:?}", both(&lab)?);
        agent.signal(signal)?;
        let status = agent.wait_exit(SOON)?;
        ensure!(status.success(), "{signal}: {status}: {}", agent.stderr());
        assert_eq!(both(&lab)?, before);
        assert_eq!(left_by(agent.instance()), [] as [&str; 0]);
        let output = agent.cli(&["flows"])?;
        assert_eq!(output.status.code(), Some(1), "nothing is pinned any more");
    }
    Ok(())
}

#[test]
fn detach_puts_back_what_a_killed_agent_left() -> Result<()> {
    let lab = unprepared()?;
    let before = both(&lab)?;
    let mut agent = run(&lab.switch, &RUN)?;
    let refused = agent.cli(&["detach"])?;
    assert_eq!(refused.status.code(), Some(1), "not while it runs");
    agent.kill9()?;
    ensure!(taken(&lab)?, "{:?}", both(&lab)?);
    assert_eq!(left_by(agent.instance()).len(), 3);
    agent.cli_ok(&["detach"])?;
    assert_eq!(both(&lab)?, before);
    assert_eq!(left_by(agent.instance()), [] as [&str; 0]);
    // Once more does no harm.
    agent.cli_ok(&["detach"])?;
    Ok(())
}

/// The kernel does not let the switch turn on again what it has turned off at its end of the pair.
#[test]
fn a_program_at_the_other_end_leaves_no_note_behind() -> Result<()> {
    for ends in ["cleanly", "by a signal"] {
        let lab = unprepared()?;
        // Of what the trunk sends, the program at the other end turns off more than the switch does.
        let but_for_sending = || -> Result<_> {
            let mut ports = both(&lab)?;
            let features = &mut ports[1].features;
            features.retain(|feature, _| !feature.starts_with("tx-"));
            Ok(ports)
        };
        let before = but_for_sending()?;
        let mut agent = run(&lab.switch, &RUN)?;
        xdp::redirect(&lab.wan, "pt0", "pt0")?;
        let said = if ends == "cleanly" {
            ensure!(agent.interrupt(SOON)?.success(), "{}", agent.stderr());
            agent.stderr()
        } else {
            agent.kill9()?;
            let output = agent.cli(&["detach"])?;
            ensure!(output.status.success(), "{output:?}");
            String::from_utf8(output.stderr)?
        };
        let warnings = said.lines().filter(|line| line.contains("put back"));
        one_line(
            &warnings.collect::<Vec<_>>().join("\n"),
            &[
                " WARN port t0 is put back but for tx-tcp-segmentation",
                "other end of its veth pair",
                "run `ethtool -K t0 tx-tcp-segmentation on ",
            ],
        )?;
        assert_eq!(but_for_sending()?, before, "{ends}");
        assert_eq!(left_by(agent.instance()), [] as [&str; 0]);

        // The next one finds nothing to turn off there, and so nothing to put back.
        let mut agent = restart(agent, &RUN)?;
        ensure!(agent.interrupt(SOON)?.success(), "{}", agent.stderr());
        ensure!(!agent.stderr().contains("put back"), "{}", agent.stderr());
        assert_eq!(but_for_sending()?, before, "{ends}");
    }
    Ok(())
}

/// Or the next run would find its ports taken.
#[test]
fn a_port_is_free_at_once_whoever_holds_its_link() -> Result<()> {
    let lab = Lab::fig1()?;
    let before = both(&lab)?;
    let hold = |agent: &Agent| -> Result<_> {
        let links = format!("/sys/fs/bpf/switch-agent/{}/links", agent.instance());
        ["c0", "t0"]
            .into_iter()
            .map(|port| pinned::hold(&Path::new(&links).join(port)))
            .collect::<Result<Vec<_>>>()
    };
    let mut agent = run(&lab.switch, &RUN)?;
    let held = hold(&agent)?;
    ensure!(agent.interrupt(SOON)?.success(), "{}", agent.stderr());
    assert_eq!(both(&lab)?, before);
    drop(held);
    let mut agent = run(&lab.switch, &RUN)?;
    let held = hold(&agent)?;
    agent.kill9()?;
    agent.cli_ok(&["detach"])?;
    assert_eq!(both(&lab)?, before);
    drop(held);
    Ok(())
}

#[test]
fn on_exit_keep_leaves_the_datapath_to_the_next_run() -> Result<()> {
    let (lab, vm, mut agent) = start(&KEEP)?;
    lab.client.introduce(&vm)?;
    let load = Load::start(&lab.client, &vm)?;
    let before = rules(agent.flow("10.0.0.13")?)?;
    agent.signal(Signal::SIGTERM)?;
    ensure!(agent.wait_exit(SOON)?.success(), "{}", agent.stderr());
    load.goes_on()?;
    assert_eq!(rules(agent.flow("10.0.0.13")?)?, before);
    assert_eq!(agent.stats()?.agent(), (false, None));

    // The next one cleans up.
    let mut agent = restart(agent, &RUN)?;
    load.goes_on()?;
    assert_eq!(agent.flows()?.len(), 1);
    assert_eq!(agent.stats()?.get("created"), 1);
    load.finish()?;
    ensure!(agent.interrupt(SOON)?.success(), "{}", agent.stderr());
    assert_eq!(left_by(agent.instance()), [] as [&str; 0]);
    Ok(())
}
