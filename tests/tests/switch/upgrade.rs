//! An agent that is replaced by another one under load: the program at each port is exchanged in
//! place, between two frames.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};
use lab::{
    Agent, Endpoint, Host, agent,
    net::pinned::{self, LinkInfo},
    traffic::{UdpReceiver, UdpSender, ping},
};
use nix::sys::signal::Signal;

use crate::{LATER, RUN, SOON, start};

/// How often the agent is replaced.
const TIMES: usize = 4;
/// Each stream has one packet in so long.
const EVERY: Duration = Duration::from_micros(200);
/// Packets of each stream before, without and after an agent.
const MANY: u64 = 1_000;

/// A numbered stream.
struct Stream {
    name: &'static str,
    sender: UdpSender,
    receiver: UdpReceiver,
}

impl Stream {
    fn start(name: &'static str, from: &Endpoint, to: &Endpoint) -> Result<Self> {
        let receiver = UdpReceiver::start(to)?;
        let sender = UdpSender::start(from, to.addr, EVERY, 200)?;
        Ok(Self {
            name,
            sender,
            receiver,
        })
    }

    /// All four: down and up, over IPv4 and IPv6.
    fn all(client: &Host, vm: &Host) -> Result<[Self; 4]> {
        Ok([
            Self::start("10.0.0.13 downlink", &vm.v4(6000), &client.v4(5000))?,
            Self::start("10.0.0.13 uplink", &client.v4(6000), &vm.v4(5000))?,
            Self::start("fd00::d downlink", &vm.v6(6000), &client.v6(5000))?,
            Self::start("fd00::d uplink", &client.v6(6000), &vm.v6(5000))?,
        ])
    }

    /// Stops, and wants every packet there once, in order, and counted for its flow.
    fn finish(self, agent: &Agent) -> Result<()> {
        let sent = self.sender.stop()?;
        let report = self.receiver.finish(sent, SOON)?;
        ensure!(report.is_perfect(), "{}: {report}", self.name);
        let (address, rule) = self.name.split_once(' ').unwrap_or_default();
        let flow = agent.flow(address)?.unwrap_or_default();
        // And the ping's, which goes both ways.
        assert_eq!(flow[rule]["packets"], sent + 1, "{}", self.name);
        Ok(())
    }
}

/// Waits until many more packets of each stream have arrived.
fn go_on(streams: &[Stream]) -> Result<()> {
    let sent: Vec<_> = streams.iter().map(|stream| stream.sender.sent()).collect();
    for (stream, sent) in streams.iter().zip(sent) {
        stream.receiver.wait_for(sent + MANY, LATER)?;
    }
    Ok(())
}

/// What holds the programs of both ports.
fn links(agent: &Agent) -> Result<[LinkInfo; 2]> {
    let directory = PathBuf::from(format!(
        "/sys/fs/bpf/switch-agent/{}/links",
        agent.instance()
    ));
    let look = |port| pinned::link(&directory.join(port));
    Ok([look("c0")?, look("t0")?])
}

/// Replaces the agent `TIMES` times by `next` under load. `end` ends it and leaves the datapath.
fn replace(options: &[&str], next: &Path, end: fn(&mut Agent) -> Result<()>) -> Result<()> {
    let (lab, vm, mut agent) = start(options)?;
    lab.client.introduce(&vm)?;
    // The VM speaks first, or the client's first packets would go to every site.
    ping(&vm.v4(7), &lab.client.v4(9), SOON)?;
    ping(&vm.v6(7), &lab.client.v6(9), SOON)?;
    let streams = Stream::all(&lab.client, &vm)?;
    go_on(&streams)?;
    for _ in 0..TIMES {
        let (before, counted) = (links(&agent)?, agent.stats()?);
        end(&mut agent)?;
        go_on(&streams)?;
        assert_eq!(links(&agent)?, before, "the old programs go on");
        agent = agent.replace(next, &[&RUN, options].concat())?;
        agent.wait_ready(LATER)?;
        for (before, after) in before.iter().zip(links(&agent)?) {
            assert_eq!(before.id, after.id, "another link");
            ensure!(
                before.program != after.program,
                "the program is the old one"
            );
        }
        go_on(&streams)?;
        let stats = agent.stats()?;
        for port in ["c0", "t0"] {
            let name = format!("ports/{port}/rx_packets");
            let more = stats.get(&name) - counted.get(&name);
            // Two streams come in at each, twice so much of each.
            ensure!(more >= 4 * MANY, "{name} goes on by {more}");
        }
    }
    let stats = agent.stats()?;
    assert_eq!(stats.faults(), []);
    assert_eq!((stats.get("created"), stats.get("moves")), (2, 0));
    streams
        .into_iter()
        .try_for_each(|stream| stream.finish(&agent))
}

/// The binary under test, as it would be after an upgrade: somewhere else.
fn new_version() -> Result<(tempfile::TempDir, PathBuf)> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("switch-agent");
    fs::copy(agent::binary()?, &path)?;
    Ok((directory, path))
}

#[test]
fn a_killed_agent_is_upgraded_under_load() -> Result<()> {
    let (_directory, next) = new_version()?;
    replace(&[], &next, Agent::kill9)
}

#[test]
fn an_agent_that_keeps_the_datapath_is_upgraded_under_load() -> Result<()> {
    let (_directory, next) = new_version()?;
    replace(&["--on-exit", "keep"], &next, |agent| {
        agent.signal(Signal::SIGTERM)?;
        let status = agent.wait_exit(SOON)?;
        ensure!(status.success(), "{status}: {}", agent.stderr());
        Ok(())
    })
}
