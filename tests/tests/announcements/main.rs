//! Announcements that are for the switch itself: RARP, and the learning packets of gateways.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, Mac, RawReceiver, RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC, RUN},
    frame, poll_until,
};
use serde_json::Value;

mod learning_packet;
mod rarp;
mod signed;

const SOON: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_millis(100);
const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];
const VM_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 13));
const VM_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13));
const ADDRESSES: [IpAddr; 2] = [VM_IPV4, VM_IPV6];

/// A switch, and raw frames on both of its sides.
struct Bench {
    // Before the lab, which it runs in.
    agent: Agent,
    trunk: RawSender,
    client: RawReceiver,
    lab: Lab,
}

impl Bench {
    fn start(options: &[&str]) -> Result<Self> {
        let lab = Lab::fig1()?;
        let mut agent = Agent::start(&lab.switch, &[&RUN, options].concat())?;
        agent.wait_ready(SOON)?;
        Ok(Self {
            agent,
            trunk: RawSender::open(&lab.wan, "pt0")?,
            client: RawReceiver::open(&lab.client.ns, "pc0")?,
            lab,
        })
    }

    /// Sends a frame to the switch from a site's VLAN.
    fn send(&self, vid: u16, frame: &[u8]) -> Result<()> {
        self.trunk.send(&frame::tagged(&[Tag::c(vid)], frame))
    }

    /// Has the switch learn from an ordinary packet, and takes that out of the client's hands.
    fn learn(&mut self, vid: u16, address: IpAddr) -> Result<()> {
        let packet = packet(address, 5000, b"hello");
        self.send(vid, &packet)?;
        self.arrives(&packet)
    }

    /// Waits for exactly this frame at the client.
    fn arrives(&mut self, frame: &[u8]) -> Result<()> {
        self.client.expect(SOON, "the frame", |received| {
            (received.frame == frame).then_some(())
        })
    }

    /// Nothing arrives at the client.
    fn nothing_arrives(&mut self) -> Result<()> {
        let frames = self.client.drain(SILENCE)?;
        ensure!(frames.is_empty(), "nothing was to arrive: {frames:02x?}");
        Ok(())
    }

    fn stats(&self) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.agent.cli_ok(&["stats", "--json"])?,
        )?)
    }

    /// Waits until a number of the counters, by its JSON pointer, is as expected.
    fn counts(&self, pointer: &str, expected: u64) -> Result<()> {
        let mut last = None;
        poll_until(SOON, &format!("{pointer} to be {expected}"), || {
            last = self.stats().ok()?.pointer(pointer).and_then(Value::as_u64);
            (last == Some(expected)).then_some(())
        })
        .with_context(|| format!("it is {last:?}"))
    }

    /// The site of an address.
    fn site(&self, address: IpAddr) -> Result<Option<String>> {
        let flows: Vec<Value> = serde_json::from_str(&self.agent.cli_ok(&["flows", "--json"])?)?;
        let found = flows
            .iter()
            .find(|flow| flow["address"] == address.to_string());
        Ok(found.and_then(|flow| flow["site"].as_str().map(str::to_owned)))
    }

    fn waits_at(&self, address: IpAddr, site: &str) -> Result<()> {
        poll_until(SOON, &format!("{address} to be at {site}"), || {
            (self.site(address).ok()?.as_deref() == Some(site)).then_some(())
        })
    }

    /// The events, all fields but the time and the latencies.
    fn events(&self) -> Result<Vec<Value>> {
        let lines = self.agent.cli_ok(&["events", "--json"])?;
        let read = lines.lines().map(|line| {
            let mut event: Value = serde_json::from_str(line)?;
            let fields = event.as_object_mut().context("an object")?;
            for latency in ["time", "learn_us", "gap_ms"] {
                fields.remove(latency);
            }
            Ok(event)
        });
        read.collect()
    }
}

/// A UDP packet from the VM to the client.
fn packet(source: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    let client = match source {
        IpAddr::V4(_) => IpAddr::V4(CLIENT_IPV4),
        IpAddr::V6(_) => IpAddr::V6(CLIENT_IPV6),
    };
    let (from, to) = (SocketAddr::new(source, 4000), SocketAddr::new(client, port));
    frame::udp(VM_MAC, CLIENT_MAC, from, to, payload)
}
