//! Frames that the kernel drops after the program has redirected them are counted too.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, Mac, RawReceiver, RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_MAC},
    frame, poll_until,
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);
const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];

fn drops(agent: &Agent) -> Result<Vec<(String, u64)>> {
    let stats: Value = serde_json::from_str(&agent.cli_ok(&["stats", "--json"])?)?;
    let drops = stats["drops"].as_object().context("drops by reason")?;
    let counted = drops.iter().filter_map(|(reason, count)| {
        let count = count.as_u64().filter(|count| *count > 0)?;
        Some((reason.clone(), count))
    });
    Ok(counted.collect())
}

fn wait_for(agent: &Agent, expected: &[(&str, u64)]) -> Result<()> {
    let expected: Vec<_> = expected
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), *count))
        .collect();
    let mut last = Vec::new();
    poll_until(SOON, &format!("the drops to be {expected:?}"), || {
        last = drops(agent).ok()?;
        (last == expected).then_some(())
    })
    .with_context(|| format!("they are {last:?}"))
}

#[test]
fn what_a_port_does_not_take_is_counted() -> Result<()> {
    let lab = Lab::fig1()?;
    let mut agent = Agent::start(
        &lab.switch,
        &[
            "run",
            "--client",
            "c0",
            "--site",
            "dc1=t0:1",
            "--static",
            "10.0.0.13=dc1",
        ],
    )?;
    agent.wait_ready(SOON)?;
    let trunk = RawSender::open(&lab.wan, "pt0")?;
    let mut client = RawReceiver::open(&lab.client.ns, "pc0")?;
    let packet = frame::udp(
        VM_MAC,
        CLIENT_MAC,
        ([10, 0, 0, 13], 4000).into(),
        (CLIENT_IPV4, 5000).into(),
        b"hello",
    );
    let tagged = frame::tagged(&[Tag::c(1)], &packet);
    let send = |count: usize| trunk.send_all(std::iter::repeat_n(tagged.as_slice(), count));

    send(3)?;
    for _ in 0..3 {
        let arrived = client.expect(SOON, "a frame", |received| Some(received.frame.clone()))?;
        ensure!(arrived == packet, "{arrived:02x?}");
    }
    ensure!(drops(&agent)?.is_empty(), "nothing is lost");

    // The cable's other end is down: the port is up, but its driver takes nothing.
    lab.client.ns.set_down("pc0")?;
    send(5)?;
    wait_for(&agent, &[("egress-full", 5)])?;

    // The port itself is down.
    lab.switch.set_down("c0")?;
    send(7)?;
    wait_for(&agent, &[("egress-full", 5), ("egress-refused", 7)])?;

    // The counters outlive the agent, and so does the counting.
    agent.kill9()?;
    send(2)?;
    wait_for(&agent, &[("egress-full", 5), ("egress-refused", 9)])
}
