//! Stragglers, flapping, and the guards against both.

use anyhow::{Context, Result, ensure};
use lab::{RawSender, poll_until};

use crate::{
    SOON, V4, V6,
    stream::{Bench, Pace, announcements},
};

/// No straggler of a test comes after this.
const ENDLESS: &str = "1h";

/// The address at DC 1, then at DC 2.
fn moved(options: &[&str]) -> Result<Bench> {
    let mut bench = Bench::start(options)?;
    for address in [V4, V6] {
        bench.speak(address, 1)?;
        bench.speak(address, 2)?;
        bench.wait_site(address, "dc2")?;
    }
    Ok(bench)
}

#[test]
fn data_from_the_old_site_is_delivered_but_not_believed() -> Result<()> {
    let mut bench = moved(&["--hold-down", ENDLESS])?;
    for _ in 0..5 {
        for address in [V4, V6] {
            bench.speak(address, 1)?;
            bench.speak(address, 2)?;
        }
    }
    let stats = bench.agent.stats()?;
    assert_eq!((stats.get("late"), stats.get("moves")), (10, 2));
    assert_eq!(stats.faults(), []);
    for address in [V4, V6] {
        assert_eq!(bench.site(address)?.as_deref(), Some("dc2"));
    }
    bench.vms.check(&bench.client.finish()?)
}

#[test]
fn data_from_the_old_site_moves_the_address_back_after_the_hold_down() -> Result<()> {
    let mut bench = moved(&["--hold-down", "200ms"])?;
    poll_until(SOON, "the address to move back", || {
        let step = bench.speak(V4, 1).and_then(|()| bench.site(V4));
        step.map(|site| (site.as_deref() == Some("dc1")).then_some(()))
            .transpose()
    })??;
    assert_eq!(
        bench.site(V6)?.as_deref(),
        Some("dc2"),
        "nobody has spoken for it"
    );
    let last = bench.agent.events()?.pop().context("no event")?;
    assert_eq!(
        (&last["event"], &last["from"]),
        (&"moved".into(), &"dc2".into())
    );
    assert_eq!(bench.agent.stats()?.faults(), []);
    bench.vms.check(&bench.client.finish()?)
}

#[test]
fn announcements_have_a_hold_down_of_their_own() -> Result<()> {
    // Both classes: long for data and short for announcements, and the other way round.
    let mut bench = moved(&["--hold-down", ENDLESS, "--hold-down-announce", "200ms"])?;
    let trunk = RawSender::open(&bench.lab.wan, "pt0")?;
    for address in [V4, V6] {
        bench.speak(address, 1)?;
        ensure!(
            bench.site(address)?.as_deref() == Some("dc2"),
            "data is late"
        );
    }
    let announcements = announcements(1);
    for (address, announcement) in [V4, V6].into_iter().zip(&announcements) {
        poll_until(SOON, "an announcement to move the address back", || {
            let step = trunk.send(announcement).and_then(|()| bench.site(address));
            step.map(|site| (site.as_deref() == Some("dc1")).then_some(()))
                .transpose()
        })??;
        let last = bench.agent.events()?.pop().context("no event")?;
        assert_eq!(last["evidence"], "announce");
    }

    let mut bench = moved(&["--hold-down", "0s", "--hold-down-announce", ENDLESS])?;
    let trunk = RawSender::open(&bench.lab.wan, "pt0")?;
    let before = bench.client.received();
    for announcement in &announcements {
        trunk.send(announcement)?;
    }
    bench
        .client
        .wait_for(before + 2, SOON)
        .context("announcements are delivered")?;
    let counted = bench.agent.stats()?;
    assert_eq!((counted.get("late"), counted.get("moves")), (2, 2));
    for address in [V4, V6] {
        bench.speak(address, 1)?;
        bench.wait_site(address, "dc1")?;
    }
    assert_eq!(bench.agent.stats()?.get("moves"), 4);
    Ok(())
}

#[test]
fn an_address_that_moves_too_often_is_held_until_it_is_released() -> Result<()> {
    let mut bench = Bench::start(&["--hold-down", "0s"])?;
    // Bound to DC 1, then four moves; DC 1 again in the end.
    for site in [1, 2, 1, 2, 1] {
        bench.speak(V4, site)?;
        bench.wait_site(V4, &format!("dc{site}"))?;
    }
    bench.vms.send(Pace::Flood, 3, &[(V4, 2)])?;
    // By the agent, and soon by the datapath.
    poll_until(SOON, "three refusals", || {
        let stats = bench.agent.stats().ok()?;
        let refused = stats.get("refused/quarantined") + stats.get("drops/refused");
        (refused == 3).then_some(())
    })?;
    let held = bench.agent.flow("10.0.0.13")?.context("no flow")?;
    assert_eq!(
        (&held["state"], &held["site"]),
        (&"quarantined".into(), &"dc1".into())
    );
    // Where it is held, it is served.
    bench.speak(V4, 1)?;
    assert_eq!(
        bench.client.received(),
        6,
        "the refused frames are not delivered"
    );

    bench.agent.cli_ok(&["release", "10.0.0.13"])?;
    let released = bench.agent.flow("10.0.0.13")?.context("no flow")?;
    assert_eq!(released["state"], "learned");
    bench.speak(V4, 2)?;
    bench.wait_site(V4, "dc2")?;
    let told: Vec<_> = bench
        .agent
        .events()?
        .iter()
        .map(|event| event["event"].as_str().unwrap_or_default().to_owned())
        .collect();
    let moved = ["created", "moved", "moved", "moved", "moved"];
    let held = ["quarantined", "refused", "released", "moved"];
    assert_eq!(told, [moved.as_slice(), &held].concat());
    Ok(())
}
