//! The real program of the gateway, with the agent behind it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use lab::{
    Agent, AttachedProgram, Mac, Namespace, RawReceiver, Tag, Verdict, fig1::TRUNK_MTU,
    frame::tagged, net::veth::MTU, poll_until, prog_run::Output, veth_with_mtu,
};
use tempfile::TempDir;

use crate::{
    campaign, frames,
    leg::{self, Leg},
    mutate::mutate,
    stats::Stats,
};

/// How long the agent may take for anything.
const SOON: Duration = Duration::from_secs(10);
/// Frames in a round, and rounds of a bounded run.
const FRAMES: usize = 500;
const ROUNDS: u64 = 12;

/// The ports, the LAN's first: name, other end of the cable, MAC, MTU.
const PORTS: [(&str, &str, Mac, u32); 2] = [
    ("lan", "plan", [2, 0, 0, 0, 0, 0xa0], MTU),
    ("up", "pup", [2, 0, 0, 0, 0, 0xb0], TRUNK_MTU),
];
/// How much longer than its MTU a port's frames may be: an Ethernet header and a tag.
const BEYOND_MTU: u32 = 18;

#[test]
fn the_gateway() -> Result<()> {
    let legs = [at("lan", None), at("up", Some(Tag::c(1)))];
    let mut gateway = Gateway::start(legs, "forward")?;
    campaign::run("the gateway", ROUNDS, |rng| gateway.round(rng))
}

#[test]
fn a_gateway_with_two_tags() -> Result<()> {
    let legs = [at("lan", Some(Tag::c(3))), at("up", Some(Tag::s(2)))];
    let mut gateway = Gateway::start(legs, "forward")?;
    campaign::run("the gateway with two tags", ROUNDS, |rng| {
        gateway.round(rng)
    })
}

#[test]
fn a_gateway_that_only_listens() -> Result<()> {
    let legs = [at("lan", None), at("up", Some(Tag::c(1)))];
    let mut gateway = Gateway::start(legs, "snoop")?;
    campaign::run("the gateway that only listens", ROUNDS, |rng| {
        gateway.round(rng)
    })
}

const fn at(port: &'static str, tag: Option<Tag>) -> Leg {
    Leg {
        port,
        site: None,
        tag,
    }
}

struct Gateway {
    agent: Agent,
    legs: [Leg; 2],
    forwards: bool,
    programs: [AttachedProgram; 2],
    /// The other ends of the cables, where only what the agent itself sends arrives.
    ends: [RawReceiver; 2],
    totals: Totals,
    /// Where the sequence numbers are.
    _state: TempDir,
}

/// What a port has to have counted.
#[derive(Clone, Copy, Debug, Default)]
struct Port {
    received: u64,
    received_bytes: u64,
    sent: u64,
    sent_bytes: u64,
}

/// What a gateway has to have counted since it began.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    ports: [Port; 2],
    passed: u64,
    too_big: u64,
}

impl Gateway {
    fn start(legs: [Leg; 2], mode: &str) -> Result<Self> {
        let (here, there) = (Namespace::new("gateway")?, Namespace::new("ends")?);
        for (port, end, mac, mtu) in PORTS {
            veth_with_mtu((&here, port, mac), (&there, end), mtu)?;
        }
        let [lan, up] = PORTS.map(|(_, end, ..)| RawReceiver::open(&there, end));
        let ends = [lan?, up?];
        let state = TempDir::new()?;
        let [lan, trunk] = legs.map(|leg| leg.to_string());
        let state_dir = state.path().to_string_lossy();
        let arguments = [
            "gateway",
            "--lan",
            &lan,
            "--trunk",
            &trunk,
            "--mode",
            mode,
            "--announce-to",
            "224.0.0.1",
            "--announce-to",
            "ff02::1",
            "--state-dir",
            &state_dir,
        ];
        let mut agent = Agent::start(&here, &arguments)?;
        agent.wait_ready(SOON)?;
        let [lan, up] = PORTS.map(|(port, ..)| AttachedProgram::of(&here, port));
        Ok(Self {
            agent,
            legs,
            forwards: mode == "forward",
            programs: [lan?, up?],
            ends,
            totals: Totals::default(),
            _state: state,
        })
    }

    /// Frames at one port, and what becomes of them.
    fn round(&mut self, rng: &mut Rng) -> Result<()> {
        let at = rng.usize(..2);
        for _ in 0..FRAMES {
            let frame = self.frame(rng, at);
            let output = self.programs[at].run(frame.as_slice());
            let output = output.and_then(|output| self.went(at, &frame, &output));
            output.with_context(|| {
                let (length, port) = (frame.len(), PORTS[at].0);
                format!("at {port}, {length} bytes: {frame:02x?}")
            })?;
        }
        let mut wrong = String::new();
        let settled = poll_until(SOON, "the counters", || {
            let looked = self.check();
            wrong = looked
                .err()
                .map_or_else(String::new, |error| format!("{error:#}"));
            wrong.is_empty().then_some(())
        });
        ensure!(settled.is_ok(), "{wrong}");
        Ok(())
    }

    /// Checks that what is counted is right, where the agent sends nothing meanwhile.
    fn check(&mut self) -> Result<()> {
        let stats = Stats::of(&self.agent)?;
        for (end, port) in self.ends.iter_mut().zip(&mut self.totals.ports) {
            while let Some(got) = end.receive(Duration::ZERO)? {
                port.sent += 1;
                port.sent_bytes += got.frame.len() as u64;
            }
        }
        let is = |name: &str, expected: u64| {
            let got = stats.get(name);
            ensure!(got == expected, "{name} is {got}, not {expected}; {stats}");
            Ok(())
        };
        for ((name, ..), port) in PORTS.iter().zip(&self.totals.ports) {
            is(&format!("ports.{name}.rx_packets"), port.received)?;
            is(&format!("ports.{name}.rx_bytes"), port.received_bytes)?;
            is(&format!("ports.{name}.tx_packets"), port.sent)?;
            is(&format!("ports.{name}.tx_bytes"), port.sent_bytes)?;
        }
        is("passed", self.totals.passed)?;
        is("drops.too-big", self.totals.too_big)?;
        ensure!(stats.drops() == self.totals.too_big, "{stats}");
        Ok(())
    }

    /// A frame for a port, mostly with its tag.
    fn frame(&self, rng: &mut Rng, at: usize) -> Vec<u8> {
        let mut frame = frames::any(rng);
        mutate(rng, &mut frame);
        if rng.u8(0..16) == 0 {
            frame[..6].copy_from_slice(&PORTS[at].2);
        }
        let mut tags = match rng.u8(0..8) {
            0 => vec![frames::tag(rng)],
            _ => self.legs[at].tag.into_iter().collect(),
        };
        if rng.u8(0..4) == 0 {
            tags.extend((0..rng.u8(1..6)).map(|_| frames::tag(rng)));
        }
        let mut frame = tagged(&tags, &frame);
        if rng.u8(0..8) == 0 {
            mutate(rng, &mut frame);
        }
        frame
    }

    /// Checks what the program has made of a frame, which its outer tag, its destination and its
    /// length alone decide.
    fn went(&mut self, at: usize, frame: &[u8], output: &Output) -> Result<()> {
        let totals = &mut self.totals;
        totals.ports[at].received += 1;
        totals.ports[at].received_bytes += frame.len() as u64;
        let (port, _, mac, _) = PORTS[at];
        let own = leg::outer(frame).and_then(|outer| {
            let found = leg::of(&self.legs, port, outer);
            found.map(|_| outer)
        });
        let to_port = leg::destination(frame) == Some(mac);
        let (verdict, out) = match own {
            Some(outer) if self.forwards && !to_port => {
                let out = leg::carried(frame, outer, &self.legs[at], &self.legs[1 - at]);
                if out.len() > (PORTS[1 - at].3 + BEYOND_MTU) as usize {
                    totals.too_big += 1;
                    (Verdict::Drop, frame.to_vec())
                } else {
                    totals.ports[1 - at].sent += 1;
                    totals.ports[1 - at].sent_bytes += out.len() as u64;
                    (Verdict::Redirect, out)
                }
            }
            _ => {
                totals.passed += 1;
                (Verdict::Pass, frame.to_vec())
            }
        };
        ensure!(
            output.verdict == verdict,
            "the verdict is {:?}, not {verdict:?}",
            output.verdict
        );
        ensure!(output.frame == out, "it has become {:02x?}", output.frame);
        Ok(())
    }
}
