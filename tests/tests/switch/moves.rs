//! Moves under load: what the patent is about, between real sockets.

use anyhow::{Context, Result, ensure};
use lab::{Agent, Lab, Vm, poll_until, traffic::UdpReceiver};
use serde_json::{Value, json};

use crate::{
    SOON,
    load::{Load, pause},
    start,
};

/// Migrates the VM while its own sender is paused, as a guest's is, and the client's until the
/// switch has learned: what it sends to a site that the VM has left, nobody can deliver.
fn migrate(lab: &Lab, vm: &mut Vm, to: usize, agent: &Agent, load: &Load) -> Result<()> {
    let _client = pause(&load.up)?;
    {
        let _guest = pause(&load.down)?;
        lab.migrate(vm, to)?;
    }
    let site = format!("dc{}", to + 1);
    poll_until(SOON, "the switch to learn of the move", || {
        let flow = agent.flow("10.0.0.13").ok()??;
        (flow["site"] == site).then_some(())
    })
}

/// Both rules of the VM's IPv4 address, without their counters, as in Fig. 4.
fn rules(agent: &Agent) -> Result<Value> {
    let mut flow = agent.flow("10.0.0.13")?.context("no flow of 10.0.0.13")?;
    for rule in ["uplink", "downlink"] {
        for counter in ["packets", "bytes"] {
            let taken = flow[rule]
                .as_object_mut()
                .and_then(|rule| rule.remove(counter));
            let count = taken.as_ref().and_then(Value::as_u64);
            ensure!(
                count.is_some_and(|count| count > 0),
                "{counter} of the {rule}: {taken:?}"
            );
        }
    }
    Ok(flow)
}

fn rules_at(site: &str, vlan: u16, previous: Option<&str>) -> Value {
    json!({
        "network": "default",
        "address": "10.0.0.13",
        "site": site,
        "state": "learned",
        "previous_site": previous,
        "mac": "52:54:00:00:00:0d",
        "uplink": {
            "match": {"in_port": "c0", "dst": "10.0.0.13"},
            "instruction": {"vlan": vlan, "output": "t0"},
        },
        "downlink": {
            "match": {"in_port": "t0", "vlan": vlan, "src": "10.0.0.13"},
            "instruction": {"output": "c0"},
        },
    })
}

#[test]
fn a_vm_under_load_moves_and_comes_back() -> Result<()> {
    // By the agent, which says how long it took, however slow the machine makes its heartbeat.
    let options = ["--hold-down", "200ms", "--learn-in-datapath", "never"];
    let (lab, mut vm, agent) = start(&options)?;
    lab.client.introduce(&vm)?;
    let load = Load::start(&lab.client, &vm)?;
    assert_eq!(rules(&agent)?, rules_at("dc1", 1, None));

    migrate(&lab, &mut vm, 1, &agent, &load)?;
    load.goes_on()?;
    assert_eq!(rules(&agent)?, rules_at("dc2", 2, Some("dc1")));

    // Within the hold-down its packets are late, and it has moved back once they are not.
    migrate(&lab, &mut vm, 0, &agent, &load)?;
    load.goes_on()?;
    assert_eq!(rules(&agent)?, rules_at("dc1", 1, Some("dc2")));
    load.finish()?;

    let stats = agent.stats()?;
    assert_eq!(stats.faults(), []);
    assert_eq!((stats.get("created"), stats.get("moves")), (1, 2));
    let told: Vec<_> = agent
        .events()?
        .into_iter()
        .map(without_times)
        .collect::<Result<_>>()?;
    let event = |event, from: Option<&str>, to| {
        let mut told = json!({
            "event": event,
            "network": "default",
            "address": "10.0.0.13",
            "to": to,
            "evidence": "data",
        });
        if let Some(from) = from {
            told["from"] = from.into();
        }
        told
    };
    assert_eq!(
        told,
        [
            event("created", None, "dc1"),
            event("moved", Some("dc1"), "dc2"),
            event("moved", Some("dc2"), "dc1"),
        ]
    );
    Ok(())
}

/// Takes out of an event what no test can know, after a look at it.
fn without_times(mut event: Value) -> Result<Value> {
    let fields = event.as_object_mut().context("an event is an object")?;
    let time = fields.remove("time");
    let time = time.as_ref().and_then(Value::as_str).unwrap_or_default();
    ensure!(
        time.len() == "2026-01-01T00:00:00.000Z".len(),
        "{time} is no time"
    );
    let learned = fields.remove("learn_us").and_then(|time| time.as_u64());
    ensure!(
        learned.is_some_and(|us| us < 10_000_000),
        "learned in {learned:?} us"
    );
    let gap = fields.remove("gap_ms").and_then(|gap| gap.as_u64());
    let moved = fields["event"] == "moved";
    ensure!(gap.is_some() == moved, "a gap of {gap:?} ms");
    ensure!(gap.is_none_or(|ms| ms < 60_000), "a gap of {gap:?} ms");
    Ok(event)
}

#[test]
fn each_address_of_a_vm_moves_for_itself() -> Result<()> {
    let (lab, mut vm, agent) = start(&[])?;
    lab.client.introduce(&vm)?;
    let speak = |vm: &Vm, v6: bool| -> Result<()> {
        let (from, to) = if v6 {
            (vm.v6(7), lab.client.v6(9))
        } else {
            (vm.v4(7), lab.client.v4(9))
        };
        let receiver = UdpReceiver::start(&to)?;
        from.udp()?.send_to(&0_u64.to_be_bytes(), to.addr)?;
        receiver.wait_for(1, SOON)
    };
    let places = || -> Result<Vec<_>> {
        let place = |address| anyhow::Ok(agent.flow(address)?.map(|flow| flow["site"].clone()));
        ["10.0.0.13", "fd00::d"].into_iter().map(place).collect()
    };
    speak(&vm, false)?;
    speak(&vm, true)?;
    assert_eq!(places()?, [Some(json!("dc1")), Some(json!("dc1"))]);
    lab.migrate(&mut vm, 1)?;
    speak(&vm, true)?;
    assert_eq!(places()?, [Some(json!("dc1")), Some(json!("dc2"))]);
    speak(&vm, false)?;
    assert_eq!(places()?, [Some(json!("dc2")), Some(json!("dc2"))]);
    assert_eq!(agent.stats()?.get("moves"), 2);
    Ok(())
}
