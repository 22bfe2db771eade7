//! The real program of the switch, with the agent behind it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use lab::{
    Agent, AttachedProgram, Mac, Namespace, RawReceiver, Tag, Verdict,
    fig1::TRUNK_MTU,
    frame::{self, BROADCAST, tagged},
    kernel,
    net::veth::MTU,
    poll_until,
    prog_run::Input,
    veth_with_mtu,
};

use crate::{
    campaign, frames,
    leg::{self, Leg},
    mutate::mutate,
    oracle::Round,
    stats::Stats,
};

/// How long the agent may take for anything.
const SOON: Duration = Duration::from_secs(10);
/// Frames in a round, and rounds of a bounded run.
const FRAMES: usize = 250;
const ROUNDS: u64 = 12;
/// So much of a frame is in the first buffer at least: all the tags that the program reads.
const FIRST_BUFFER: usize = 34;

/// The ports: name, other end of the cable, MAC, bytes above the client's MTU.
const PORTS: [(&str, &str, Mac, u32); 3] = [
    ("c0", "pc0", [2, 0, 0, 0, 0, 0xc0], 0),
    ("t0", "pt0", [2, 0, 0, 0, 0, 0x70], TRUNK_MTU - MTU),
    ("t1", "pt1", [2, 0, 0, 0, 0, 0x71], TRUNK_MTU - MTU),
];

/// What frames come to at any switch within a bounded run, or the generator is no good.
const REACHED: [&str; 21] = [
    "misses",
    "late",
    "moves",
    "flooded",
    "learning_packets",
    "passed",
    "drops.vlan-truncated",
    "drops.vlan-too-deep",
    "drops.ipv4-truncated",
    "drops.ipv4-malformed",
    "drops.ipv6-truncated",
    "drops.ipv6-malformed",
    "drops.arp-truncated",
    "drops.arp-malformed",
    "drops.arp-sender-mismatch",
    "drops.nd-truncated",
    "drops.nd-malformed",
    "drops.link-control",
    "drops.rarp",
    "drops.too-big",
    "ports.c0.tx_packets",
];

/// Two sites on one trunk, and one with a service tag on a trunk of its own.
const SITES: [Leg; 3] = [
    site("dc1", "t0", Tag::c(1)),
    site("dc2", "t0", Tag::c(2)),
    site("dc3", "t1", Tag::s(300)),
];

const fn site(name: &'static str, port: &'static str, tag: Tag) -> Leg {
    Leg {
        port,
        site: Some(name),
        tag: Some(tag),
    }
}

const fn client(tag: Option<Tag>) -> Leg {
    Leg {
        port: "c0",
        site: None,
        tag,
    }
}

#[test]
fn the_switch() -> Result<()> {
    let mut switch = Switch::start(client(None), &["--static", "10.0.0.1=dc1"])?;
    campaign::run("the switch", ROUNDS, |rng| switch.round(rng))?;
    switch.reached(&REACHED)?;
    switch.reached(&["refused.pinned"])
}

#[test]
fn a_switch_that_learns_in_the_datapath() -> Result<()> {
    let options = [
        "--learn-in-datapath",
        "always",
        "--unknown",
        "drop",
        "--allow",
        "dc2=10.0.0.0/28",
        "--hold-down",
        "10ms",
        "--hold-down-announce",
        "10ms",
        "--quarantine-moves",
        "20",
        "--pass-learning-packets",
    ];
    let mut switch = Switch::start(client(Some(Tag::c(7))), &options)?;
    campaign::run("the switch that learns in the datapath", ROUNDS, |rng| {
        switch.round(rng)
    })?;
    switch.reached(&REACHED)?;
    switch.reached(&["moves_in_datapath", "drops.unknown", "drops.unauthorised"])
}

#[test]
fn a_switch_whose_agent_is_gone() -> Result<()> {
    let mut switch = Switch::start(client(None), &[])?;
    // Some addresses are bound then.
    for seed in 0..3 {
        switch.round(&mut Rng::with_seed(seed))?;
    }
    switch.agent.kill9()?;
    switch.agent_runs = false;
    campaign::run("the switch without its agent", ROUNDS, |rng| {
        switch.round(rng)
    })?;
    switch.reached(&REACHED)?;
    // The datapath takes over once the agent has been silent for a second.
    let (started, mut seed) = (Instant::now(), 1000);
    while switch.reached(&["moves_in_datapath"]).is_err() && started.elapsed() < SOON {
        switch.round(&mut Rng::with_seed(seed))?;
        seed += 1;
    }
    switch.reached(&["moves_in_datapath"])
}

struct Port {
    name: &'static str,
    mac: Mac,
    program: AttachedProgram,
    /// The other end of its cable.
    end: RawReceiver,
}

struct Switch {
    agent: Agent,
    agent_runs: bool,
    /// All attachments, the client's first.
    legs: Vec<Leg>,
    ports: Vec<Port>,
    /// Whether the kernel puts as much into the first buffer as it is told.
    cuts: bool,
    /// Frames to every site by which is told that the agent is done.
    markers: u64,
}

impl Switch {
    fn start(client: Leg, options: &[&str]) -> Result<Self> {
        let (here, there) = (Namespace::new("switch")?, Namespace::new("ends")?);
        for (port, end, mac, tag) in PORTS {
            veth_with_mtu((&here, port, mac), (&there, end), MTU + tag)?;
        }
        let mut arguments = vec!["run".into(), "--client".into(), client.to_string()];
        // The agent's own questions would be frames that nobody has handed it.
        arguments.extend(["--confirm", "off"].map(str::to_owned));
        for site in SITES {
            arguments.extend(["--site".into(), site.to_string()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut agent = Agent::start(&here, &[&arguments, options].concat())?;
        agent.wait_ready(SOON)?;
        let port = |(name, end, mac, _)| {
            anyhow::Ok(Port {
                name,
                mac,
                program: AttachedProgram::of(&here, name)?,
                end: RawReceiver::open(&there, end)?,
            })
        };
        Ok(Self {
            agent,
            agent_runs: true,
            legs: [&[client], &SITES[..]].concat(),
            ports: PORTS.into_iter().map(port).collect::<Result<_>>()?,
            cuts: kernel::is_at_least(6, 18)?,
            markers: 0,
        })
    }

    fn stats(&self) -> Result<Stats> {
        if self.agent_runs {
            Stats::of(&self.agent)
        } else {
            Stats::left_by(&self.agent)
        }
    }

    /// Checks that frames came as far as these counters, in the run where it is known that they do.
    fn reached(&self, names: &[&str]) -> Result<()> {
        if campaign::is_everybodys() {
            self.stats()?.have(names)?;
        }
        Ok(())
    }

    /// Frames at one port, and what becomes of them.
    fn round(&mut self, rng: &mut Rng) -> Result<()> {
        let before = self.stats()?;
        let at = rng.usize(..self.ports.len());
        let mut round = Round::new(self.legs.clone(), self.ports[at].name, self.ports[at].mac);
        for _ in 0..FRAMES {
            let frame = self.frame(rng, &self.ports[at]);
            let first_buffer = if self.cuts && frame.len() > FIRST_BUFFER && rng.u8(0..8) == 0 {
                rng.usize(FIRST_BUFFER..=frame.len().min(1500))
            } else {
                frame.len()
            };
            let input = Input {
                first_buffer,
                ..Input::from(frame.as_slice())
            };
            let output = self.ports[at].program.run(input);
            let output = output.and_then(|output| round.went(&frame, &output));
            output.with_context(|| {
                let (length, port) = (frame.len(), self.ports[at].name);
                format!("at {port}, {first_buffer} of {length} bytes: {frame:02x?}")
            })?;
        }
        // The agent takes all that is handed to it before it sends. What is sent in the turn of the
        // first of these has left when the second is.
        for _ in 0..if self.agent_runs { 2 } else { 0 } {
            self.marker(&mut round)?;
        }
        let mut wrong = String::new();
        let settled = poll_until(SOON, "the counters", || {
            // What should not have arrived will not be right later.
            if let Err(error) = self.listen(&mut round) {
                return Some(Err(error));
            }
            let looked = self.stats().and_then(|stats| {
                let moved = stats.since(&before);
                let right = round.check(&moved);
                right.with_context(|| format!("what moved: {moved}"))
            });
            wrong = looked
                .err()
                .map_or_else(String::new, |error| format!("{error:#}"));
            wrong.is_empty().then_some(Ok(()))
        });
        settled.unwrap_or_else(|_| bail!(wrong))
    }

    /// Takes what the agent has sent.
    fn listen(&mut self, round: &mut Round) -> Result<()> {
        for port in &mut self.ports {
            while let Some(got) = port.end.receive(Duration::ZERO)? {
                round.arrived(port.name, &got.frame)?;
            }
        }
        Ok(())
    }

    /// A frame for a port, mostly with the tag of one of its attachments.
    fn frame(&self, rng: &mut Rng, port: &Port) -> Vec<u8> {
        let mut frame = frames::any(rng);
        mutate(rng, &mut frame);
        if rng.u8(0..32) == 0 {
            frame[..6].copy_from_slice(&port.mac);
        }
        let here: Vec<_> = self.legs.iter().filter(|l| l.port == port.name).collect();
        let own = here[rng.usize(..here.len())].tag;
        let own = own.map(|tag| tag.with_priority(rng.u8(0..8), rng.bool()));
        let mut tags: Vec<_> = match rng.u8(0..8) {
            0 => Some(frames::tag(rng)),
            _ => own,
        }
        .into_iter()
        .collect();
        if rng.u8(0..4) == 0 {
            tags.extend((0..rng.u8(1..4)).map(|_| frames::tag(rng)));
        }
        let mut frame = tagged(&tags, &frame);
        if rng.u8(0..8) == 0 {
            mutate(rng, &mut frame);
        }
        frame
    }

    /// Sends a frame to every site, and waits until it is there.
    fn marker(&mut self, round: &mut Round) -> Result<()> {
        const EXPERIMENT: u16 = 0x88b5;
        self.markers += 1;
        let payload = [self.markers.to_be_bytes().as_slice(), &[0; 38]].concat();
        let bare = frame::ethernet([2, 0xfe, 0, 0, 0, 1], BROADCAST, EXPERIMENT, &payload);
        let sent = tagged(self.legs[0].tag.as_slice(), &bare);
        let client = self.ports.iter().find(|port| port.name == "c0");
        let client = client.context("the switch has no port c0")?;
        let output = client.program.run(sent.as_slice())?;
        ensure!(output.verdict == Verdict::Drop, "a marker: {output:?}");
        round.marked(sent.len());
        let mut missing: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
        for site in &self.legs[1..] {
            let marker = leg::carried(&sent, self.legs[0].tag, &self.legs[0], site);
            missing.entry(site.port).or_default().push(marker);
        }
        for port in &mut self.ports {
            let missing = missing.entry(port.name).or_default();
            while !missing.is_empty() {
                let Some(got) = port.end.receive(SOON)? else {
                    let log = self.agent.stderr();
                    bail!("no marker at {}; the agent said:\n{log}", port.name);
                };
                match missing.iter().position(|marker| *marker == got.frame) {
                    Some(found) => drop(missing.swap_remove(found)),
                    None => round.arrived(port.name, &got.frame)?,
                }
            }
        }
        Ok(())
    }
}
