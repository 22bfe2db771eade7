//! `explain`: why an address is where it is, and what would happen to evidence for it now.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, Mac, RawSender, Tag,
    fig1::{CLIENT_IPV4, CLIENT_MAC, RUN},
    frame::{self, Arp, tagged},
    poll_until,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);
const MAC: Mac = [0x52, 0x54, 0, 0, 0, 0x0a];
const VM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const PINNED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 14);
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 15);
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

struct Bench {
    // Before the lab, which it runs in.
    agent: Agent,
    trunk: RawSender,
    _lab: Lab,
}

impl Bench {
    fn start() -> Result<Self> {
        let lab = Lab::fig1()?;
        let options = [
            "--allow",
            "dc2=10.0.0.0/24",
            "--static",
            "10.0.0.14=dc1",
            "--hold-down",
            "60s",
            "--quarantine-moves",
            "2",
        ];
        let mut agent = Agent::start(&lab.switch, &[&RUN[..], &options].concat())?;
        agent.wait_ready(SOON)?;
        Ok(Self {
            agent,
            trunk: RawSender::open(&lab.wan, "pt0")?,
            _lab: lab,
        })
    }

    /// A packet to the client, from a site's VLAN.
    fn send(&self, address: Ipv4Addr, vlan: u16) -> Result<()> {
        let (from, to) = ((address, 9).into(), (CLIENT_IPV4, 9).into());
        let packet = frame::udp(MAC, CLIENT_MAC, from, to, b"here I am");
        self.trunk.send(&tagged(&[Tag::c(vlan)], &packet))
    }

    fn explain(&self, address: Ipv4Addr) -> Result<Value> {
        let text = self
            .agent
            .cli_ok(&["explain", &address.to_string(), "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("read {text}"))
    }

    /// What is explained, once the last evidence is of that site and class.
    fn explained(&self, address: Ipv4Addr, site: &str, evidence: &str) -> Result<Value> {
        let what = format!("{evidence} from {site} for {address}");
        poll_until(SOON, &what, || {
            let told = self.explain(address).ok()?;
            let last = &told["evidence"];
            (last["site"] == site && last["evidence"] == evidence).then_some(told)
        })
    }
}

/// What would happen to data and to an announcement from each site.
fn prospects(told: &Value) -> Vec<[String; 3]> {
    let text = |value: &Value| match &value["reason"] {
        Value::String(reason) => format!("{}: {reason}", value["verdict"].as_str().unwrap_or("")),
        _ => value["verdict"].as_str().unwrap_or("").to_owned(),
    };
    let sites = told["sites"].as_array().into_iter().flatten();
    sites
        .map(|site| {
            let name = site["site"].as_str().unwrap_or("").to_owned();
            [name, text(&site["data"]), text(&site["announce"])]
        })
        .collect()
}

fn header(address: Ipv4Addr, vlan: u16) -> String {
    format!("52:54:00:00:00:0a > 52:54:00:00:00:01, vlan {vlan}, IPv4 0x0800, {address} > 10.0.0.1")
}

#[test]
fn a_bound_address_and_a_moved_one() -> Result<()> {
    let bench = Bench::start()?;
    bench.send(VM, 1)?;
    let told = bench.explained(VM, "dc1", "data")?;
    assert_eq!(told["address"], "10.0.0.13");
    let bound = &told["binding"];
    assert_eq!(
        (&bound["site"], &bound["state"], &bound["mac"]),
        (
            &json!("dc1"),
            &json!("learned"),
            &json!("52:54:00:00:00:0a")
        )
    );
    assert_eq!(
        (&bound["previous_site"], &bound["moved_ms"]),
        (&Value::Null, &Value::Null)
    );
    ensure!(bound["created_ms"].is_u64(), "{told}");
    assert_eq!(told["evidence"]["frame"], header(VM, 1));
    assert_eq!(told["asking"], Value::Null);
    assert_eq!(
        prospects(&told),
        [["dc1", "refresh", "refresh"], ["dc2", "move", "move"]]
    );

    bench
        .trunk
        .send(&tagged(&[Tag::c(2)], &Arp::announcement(MAC, VM).frame()))?;
    let told = bench.explained(VM, "dc2", "announce")?;
    let bound = &told["binding"];
    assert_eq!(
        (
            &bound["site"],
            &bound["previous_site"],
            &bound["moves_in_window"]
        ),
        (&json!("dc2"), &json!("dc1"), &json!(1))
    );
    ensure!(bound["moved_ms"].is_u64(), "{told}");
    assert_eq!(
        told["evidence"]["frame"],
        "52:54:00:00:00:0a > ff:ff:ff:ff:ff:ff, vlan 2, ARP 0x0806, 10.0.0.13 > 10.0.0.13"
    );
    // What it says is what happens. Data from the old site is late, and the next move is the second
    // of two, once the hold-down of announcements is over.
    assert_eq!(prospects(&told)[0][1], "late");
    poll_until(SOON, "the end of the hold-down of announcements", || {
        let told = bench.explain(VM).ok()?;
        let expected = [["dc1", "late", "quarantine"], ["dc2", "refresh", "refresh"]];
        (prospects(&told) == expected).then_some(())
    })?;
    bench
        .trunk
        .send(&tagged(&[Tag::c(1)], &Arp::announcement(MAC, VM).frame()))?;
    let told = bench.explained(VM, "dc1", "announce")?;
    assert_eq!(told["binding"]["state"], "quarantined");
    assert_eq!(told["sites"][0]["refused"], json!({"quarantined": 1}));
    let held = "refuse: quarantined";
    assert_eq!(
        prospects(&told),
        [["dc1", held, held], ["dc2", "refresh", "refresh"]]
    );
    Ok(())
}

#[test]
fn refused_addresses() -> Result<()> {
    let bench = Bench::start()?;
    bench.send(PINNED, 2)?;
    let told = bench.explained(PINNED, "dc2", "data")?;
    assert_eq!(told["binding"]["state"], "static");
    assert_eq!(told["evidence"]["frame"], header(PINNED, 2));
    assert_eq!(told["sites"][1]["refused"], json!({"pinned": 1}));
    let pinned = "refuse: pinned";
    assert_eq!(
        prospects(&told),
        [["dc1", "refresh", "refresh"], ["dc2", pinned, pinned]]
    );

    bench.send(FOREIGN, 2)?;
    let told = bench.explained(FOREIGN, "dc2", "data")?;
    assert_eq!(told["binding"], Value::Null);
    assert_eq!(told["sites"][1]["refused"], json!({"unauthorised": 1}));
    let unauthorised = "refuse: unauthorised";
    assert_eq!(
        prospects(&told),
        [
            ["dc1", "create", "create"],
            ["dc2", unauthorised, unauthorised]
        ]
    );
    let text = bench.agent.cli_ok(&["explain", "10.9.9.9"])?;
    ensure!(
        text.contains("not bound") && text.contains("unauthorised 1"),
        "{text}"
    );
    Ok(())
}

#[test]
fn an_address_that_nobody_knows() -> Result<()> {
    let bench = Bench::start()?;
    let told = bench.explain(STRANGER)?;
    assert_eq!(
        told,
        json!({
            "network": "default", "address": "10.0.0.15",
            "binding": null, "evidence": null, "asking": null,
            "sites": [
                {"site": "dc1", "refused": {}, "data": {"verdict": "create"}, "announce": {"verdict": "create"}},
                {"site": "dc2", "refused": {}, "data": {"verdict": "create"}, "announce": {"verdict": "create"}},
            ],
        })
    );
    let output = bench.agent.cli(&["explain", "127.0.0.1"])?;
    assert_eq!(output.status.code(), Some(2), "no VM's address");
    Ok(())
}
