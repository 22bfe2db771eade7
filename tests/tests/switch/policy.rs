//! What an operator decides beforehand: who is believed, and what is unknown.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use lab::{
    RawReceiver, RawSender, Tag,
    frame::{self, Arp, tagged},
    poll_until,
};
use serde_json::{Value, json};

use crate::{
    SILENCE, SOON, V4, V6, VM_IPV4, VM_MAC,
    stream::{Bench, Pace, SINK_IPV4, SINK_MAC, announcements},
};

const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 77));

/// How often an address was not believed: by the agent for this reason, and by the datapath, which
/// spares the agent the same question for a second.
fn not_believed(bench: &Bench, reason: &str) -> Result<(u64, u64)> {
    let stats = bench.agent.stats()?;
    let drops = ["drops/refused", "drops/unauthorised"].map(|drop| stats.get(drop));
    let limits = ["refused", "unauthorised"].map(|limit| {
        let site = |site| stats.get(&format!("sites/{site}/limited/{limit}"));
        site("dc1") + site("dc2")
    });
    ensure!(drops == limits, "{drops:?} are dropped, {limits:?} limited");
    let asked = stats.get(&format!("refused/{reason}"));
    Ok((asked, drops.iter().sum()))
}

/// Has `address` speak `count` times from a VLAN, and wants every frame refused for this reason,
/// counted, and told once.
fn refused(bench: &mut Bench, address: IpAddr, vlan: u16, reason: &str, count: u64) -> Result<()> {
    let arrived = bench.client.received();
    let before = not_believed(bench, reason)?;
    bench
        .vms
        .send(Pace::Flood, count as usize, &[(address, vlan)])?;
    poll_until(SOON, &format!("{count} refusals as {reason}"), || {
        let (asked, dropped) = not_believed(bench, reason).ok()?;
        let all = asked + dropped == before.0 + before.1 + count;
        (all && asked > before.0).then_some(())
    })?;
    let told = bench.agent.events()?.into_iter().filter(|event| {
        event["event"] == "refused" && event["address"] == json!(address.to_string())
    });
    let reasons: Vec<_> = told
        .map(|event| (event["reason"].clone(), event["to"].clone()))
        .collect();
    assert_eq!(reasons, [(json!(reason), json!(format!("dc{vlan}")))]);
    ensure!(
        bench.client.received() == arrived,
        "a refused frame was delivered"
    );
    Ok(())
}

#[test]
fn an_address_that_speaks_from_where_it_is_changes_nothing() -> Result<()> {
    const EACH: usize = 300;
    let mut bench = Bench::start(&[])?;
    for address in [V4, V6] {
        bench.vms.send(Pace::Flood, 1, &[(address, 1)])?;
        bench.settle()?;
    }
    let (before, flows) = (bench.agent.stats()?, bench.agent.flows()?);
    let arrived = bench.client.received();
    bench.vms.send(Pace::Flood, 2 * EACH, &[(V4, 1), (V6, 1)])?;
    let trunk = RawSender::open(&bench.lab.wan, "pt0")?;
    for announcement in &announcements(1) {
        trunk.send_all(vec![announcement.as_slice(); EACH])?;
    }
    bench.client.wait_for(arrived + 4 * EACH, SOON)?;
    let stats = bench.agent.stats()?;
    let moved =
        ["misses", "created", "moves", "late"].map(|name| stats.get(name) - before.get(name));
    assert_eq!(moved, [0; 4]);
    assert_eq!(stats.faults(), []);
    for (before, mut now) in flows.into_iter().zip(bench.agent.flows()?) {
        let packets = |flow: &Value| flow["downlink"]["packets"].as_u64().unwrap_or_default();
        assert_eq!(packets(&now), packets(&before) + 2 * EACH as u64);
        now["downlink"] = before["downlink"].clone();
        assert_eq!(now, before);
    }
    let events = bench.agent.events()?;
    let kinds: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["created", "created"]);
    Ok(())
}

#[test]
fn a_full_flow_table_refuses_the_new_and_serves_the_old() -> Result<()> {
    let mut bench = Bench::start(&["--max-flows", "2"])?;
    bench.speak(V4, 1)?;
    bench.speak(V6, 1)?;
    refused(&mut bench, OTHER, 1, "table-full", 3)?;
    let output = bench.agent.cli(&["bind", "10.0.0.78", "--site", "dc1"])?;
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    ensure!(
        line.contains("full (2 bindings)") && line.lines().count() == 1,
        "{line}"
    );

    // The others go on, and move.
    bench.speak(V4, 1)?;
    bench.speak(V4, 2)?;
    bench.wait_site(V4, "dc2")?;
    // Every frame is accounted for: delivered or refused.
    let counted = bench.agent.stats()?;
    let [received, sent] = ["ports/t0/rx_packets", "ports/c0/tx_packets"].map(|c| counted.get(c));
    assert_eq!((received, sent), (7, 4));
    assert_eq!(
        (counted.get("bindings/count"), counted.get("bindings/max")),
        (2, 2)
    );
    let (asked, dropped) = not_believed(&bench, "table-full")?;
    assert_eq!(asked + dropped, 3);
    assert_eq!(counted.drops().iter().map(|(_, n)| n).sum::<u64>(), dropped);

    bench.agent.cli_ok(&["unbind", "fd00::d"])?;
    // As soon as the second is over for which it is refused.
    poll_until(SOON, "the other one to be bound", || {
        let sent = bench.vms.send(Pace::Flood, 1, &[(OTHER, 1)]);
        let site = sent.and_then(|()| bench.site(OTHER));
        site.map(|site| (site.as_deref() == Some("dc1")).then_some(()))
            .transpose()
    })?
}

#[test]
fn an_address_outside_what_its_site_may_claim_is_refused() -> Result<()> {
    let allow = ["--allow", "dc1=10.0.0.0/28", "--allow", "dc1=fd00::/64"];
    let mut bench = Bench::start(&allow)?;
    bench.speak(V4, 1)?;
    bench.speak(V6, 1)?;
    refused(&mut bench, OTHER, 1, "unauthorised", 2)?;
    // A site without prefixes may claim all, and then there is no way back.
    bench.speak(OTHER, 2)?;
    bench.wait_site(OTHER, "dc2")?;
    let before = bench.agent.flow("10.0.0.77")?;
    bench.vms.send(Pace::Flood, 1, &[(OTHER, 1)])?;
    poll_until(SOON, "a third refusal", || {
        let (asked, dropped) = not_believed(&bench, "unauthorised").ok()?;
        (asked + dropped == 3).then_some(())
    })?;
    assert_eq!(bench.agent.flow("10.0.0.77")?, before);
    Ok(())
}

#[test]
fn a_static_address_stays() -> Result<()> {
    let mut bench = Bench::start(&["--static", "10.0.0.13=dc1", "--static", "fd00::d=dc2"])?;
    let state = |bench: &Bench, address| -> Result<_> {
        let flow = bench.agent.flow(address)?.context("no flow")?;
        Ok((flow["site"].clone(), flow["state"].clone()))
    };
    assert_eq!(state(&bench, "10.0.0.13")?, (json!("dc1"), json!("static")));
    refused(&mut bench, V4, 2, "pinned", 2)?;
    refused(&mut bench, V6, 1, "pinned", 2)?;
    bench.speak(V4, 1)?;
    bench.speak(V6, 2)?;
    // The operator's hand is stronger.
    bench
        .agent
        .cli_ok(&["move", "10.0.0.13", "--site", "dc2"])?;
    assert_eq!(state(&bench, "10.0.0.13")?, (json!("dc2"), json!("static")));
    bench.speak(V4, 2)?;
    Ok(())
}

#[test]
fn only_known_addresses_move_by_the_letter_of_the_patent() -> Result<()> {
    let mut bench = Bench::start(&["--learn", "moves-only"])?;
    refused(&mut bench, V4, 1, "unknown", 3)?;
    assert_eq!(bench.agent.flows()?.len(), 0);
    bench
        .agent
        .cli_ok(&["bind", "10.0.0.13", "--site", "dc1"])?;
    bench.speak(V4, 1)?;
    bench.speak(V4, 2)?;
    bench.wait_site(V4, "dc2")
}

/// What the trunk hears of `count` packets from the client to the VM, which nobody knows.
fn to_the_unknown(bench: &Bench, count: usize) -> Result<Vec<Vec<u8>>> {
    let mut trunk = RawReceiver::open(&bench.lab.wan, "pt0")?;
    let client = RawSender::open(&bench.lab.client.ns, "pc0")?;
    let (from, to) = ((SINK_IPV4, 9).into(), (VM_IPV4, 7).into());
    let packet = frame::udp(SINK_MAC, VM_MAC, from, to, b"who are you?");
    client.send_all(vec![packet.as_slice(); count])?;
    // The question behind them shows that they are through.
    let question = Arp::request(SINK_MAC, SINK_IPV4, VM_IPV4).frame();
    client.send(&question)?;
    let last = tagged(&[Tag::c(2)], &question);
    let mut heard = Vec::new();
    trunk.expect(SOON, "the question at the last site", |got| {
        heard.push(got.frame.clone());
        (got.frame == last).then_some(())
    })?;
    ensure!(
        trunk.drain(SILENCE)?.is_empty(),
        "more than the question at the last site"
    );
    heard.retain(|heard| !heard.ends_with(&question[14..]));
    Ok(heard)
}

#[test]
fn packets_to_the_unknown_are_dropped_where_the_operator_wants_it() -> Result<()> {
    let bench = Bench::start(&["--unknown", "drop"])?;
    assert_eq!(to_the_unknown(&bench, 5)?, [] as [Vec<u8>; 0]);
    let stats = bench.agent.stats()?;
    assert_eq!(stats.drops(), [("unknown", 5)]);
    assert_eq!(
        (stats.get("flooded"), stats.get("ports/t0/tx_packets")),
        (1, 2)
    );
    Ok(())
}

#[test]
fn packets_to_the_unknown_reach_every_site_up_to_a_limit() -> Result<()> {
    let bench = Bench::start(&[])?;
    let heard = to_the_unknown(&bench, 5000)?;
    let of = |vid: u16| {
        heard
            .iter()
            .filter(|frame| frame[14..16] == vid.to_be_bytes())
            .count()
    };
    assert_eq!(of(1), of(2));
    let stats = bench.agent.stats()?;
    let flooded = stats.get("flooded") - 1;
    assert_eq!(flooded, of(1) as u64);
    ensure!(
        flooded >= 100,
        "a burst of 100 is within the limit, {flooded} were"
    );
    assert_eq!(stats.get("drops/unknown-rate"), 5000 - flooded);
    Ok(())
}
