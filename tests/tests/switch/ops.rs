//! The operator's hand: orders, and what is told of them.

use std::{
    io::{self, BufRead, BufReader},
    net::IpAddr,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, RawReceiver, RawSender, Tag,
    frame::{self, tagged},
    poll_until,
};
use serde_json::{Value, json};

use crate::{
    SOON, V4, VM_IPV4, VM_MAC, start,
    stream::{Bench, Pace, SINK_IPV4, SINK_MAC},
};

#[test]
fn an_operator_moves_and_mistakes_have_a_line_and_a_status() -> Result<()> {
    let (_lab, _vm, agent) = start(&[])?;
    agent.cli_ok(&["bind", "10.0.0.77", "--site", "dc1", "--static"])?;
    agent.cli_ok(&["move", "10.0.0.77", "--site", "dc2"])?;
    let bound = agent.flow("10.0.0.77")?.context("the bound address")?;
    assert_eq!(
        (&bound["site"], &bound["state"]),
        (&"dc2".into(), &"static".into())
    );
    for (arguments, status, words) in [
        (
            &["move", "10.0.0.77", "--site", "dc9"][..],
            1,
            "there is no site dc9; the sites are dc1, dc2",
        ),
        (
            &["move", "10.0.0.78", "--site", "dc1"],
            1,
            "10.0.0.78 is not bound; `bind` binds it",
        ),
        (
            &["bind", "10.0.0.77", "--site", "dc1"],
            1,
            "10.0.0.77 is bound to dc2; `move` moves it",
        ),
        (&["release", "10.0.0.77"], 1, "10.0.0.77 is not quarantined"),
        (&["unbind", "10.0.0.78"], 1, "10.0.0.78 is not bound"),
        (
            &["move", "nonsense", "--site", "dc1"],
            2,
            "\"nonsense\" is not an IPv4",
        ),
        (&["bind", "224.0.0.1", "--site", "dc1"], 2, "multicast"),
    ] {
        let output = agent.cli(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(said.contains(words), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(status), "{said}");
        ensure!(status == 2 || said.lines().count() == 1, "{said}");
    }
    agent.cli_ok(&["unbind", "10.0.0.77"])?;
    ensure!(agent.flow("10.0.0.77")?.is_none(), "it is forgotten");

    let told: Vec<_> = agent
        .events()?
        .into_iter()
        .map(|mut event| {
            event["time"].take();
            event
        })
        .collect();
    let event = |mut told: Value| {
        told["network"] = json!("default");
        told["address"] = json!("10.0.0.77");
        told["evidence"] = json!("operator");
        told["time"] = Value::Null;
        told
    };
    let expected = [
        event(json!({"event": "created", "to": "dc1"})),
        event(json!({"event": "moved", "from": "dc1", "to": "dc2"})),
        event(json!({"event": "removed", "from": "dc2"})),
    ];
    assert_eq!(told, expected);
    Ok(())
}

#[test]
fn an_order_moves_both_directions_at_once() -> Result<()> {
    let mut bench = Bench::start(&["--hold-down", "1h"])?;
    bench.speak(V4, 1)?;
    bench
        .agent
        .cli_ok(&["move", "10.0.0.13", "--site", "dc2"])?;
    let mut trunk = RawReceiver::open(&bench.lab.wan, "pt0")?;
    let (from, to) = ((SINK_IPV4, 9).into(), (VM_IPV4, 7).into());
    let packet = frame::udp(SINK_MAC, VM_MAC, from, to, b"at once");
    RawSender::open(&bench.lab.client.ns, "pc0")?.send(&packet)?;
    let got = trunk.receive(SOON)?.context("nothing on the trunk")?;
    assert_eq!(got.frame, tagged(&[Tag::c(2)], &packet));
    // The VM's last packets from where it was are late, those from where it is are not.
    bench.speak(V4, 1)?;
    bench.speak(V4, 2)?;
    let stats = bench.agent.stats()?;
    assert_eq!((stats.get("late"), stats.get("moves")), (1, 1));
    assert_eq!(bench.site(V4)?.as_deref(), Some("dc2"));
    Ok(())
}

/// Somebody who follows the events. It ends with the switch.
struct Follower {
    process: Child,
    lines: mpsc::Receiver<io::Result<String>>,
}

impl Follower {
    fn start(agent: &Agent) -> Result<Self> {
        let mut command = agent.command(&["events", "--follow", "--json"]);
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let pipe = process.stdout.take().context("no pipe")?;
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(pipe)
                .lines()
                .try_for_each(|line| told.send(line))
        });
        Ok(Self { process, lines })
    }

    fn next(&self) -> Result<Value> {
        let line = self
            .lines
            .recv_timeout(SOON)
            .context("no event in time")??;
        serde_json::from_str(&line).with_context(|| format!("read an event from {line}"))
    }
}

#[test]
fn events_can_be_followed() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    bench.speak(V4, 1)?;
    let mut follower = Follower::start(&bench.agent)?;
    assert_eq!(follower.next()?["event"], "created");
    bench.speak(V4, 2)?;
    let moved = follower.next()?;
    assert_eq!(
        (&moved["event"], &moved["from"], &moved["to"]),
        (&"moved".into(), &"dc1".into(), &"dc2".into())
    );
    // It ends with the switch.
    ensure!(
        bench.agent.interrupt(SOON)?.success(),
        "{}",
        bench.agent.stderr()
    );
    let status = poll_until(SOON, "the follower to end", || {
        follower.process.try_wait().transpose()
    })??;
    ensure!(status.success(), "the follower ends with {status}");
    Ok(())
}

/// The agent keeps 1024 events.
#[test]
fn a_storm_of_newcomers_leaves_the_other_events() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    bench.speak(V4, 1)?;
    bench.speak(V4, 2)?;
    let follower = Follower::start(&bench.agent)?;
    assert_eq!(follower.next()?["event"], "created");
    assert_eq!(follower.next()?["event"], "moved");
    for part in 0..10 {
        let newcomers: Vec<_> = (0..200).map(|n| IpAddr::from([10, 1, part, n])).collect();
        let senders: Vec<_> = newcomers.iter().map(|address| (*address, 1)).collect();
        bench.vms.send(Pace::Flood, senders.len(), &senders)?;
        // Who follows sees them all, in order.
        for address in newcomers {
            let event = follower.next()?;
            assert_eq!(event["event"], "created");
            assert_eq!(event["address"], address.to_string());
        }
    }
    let kept = bench.agent.events()?;
    let kinds: Vec<_> = kept.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds[0], "moved");
    assert_eq!(kinds[1..], ["created"; 1023]);
    assert_eq!(kept[1023]["address"], "10.1.9.199");
    Ok(())
}
