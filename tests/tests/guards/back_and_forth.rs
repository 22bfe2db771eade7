//! One migration that is seen at the target, at the source again, and at the target for good: the
//! source's last frames, or a pre-copy that failed and was resumed. By the agent and by the datapath.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use lab::{
    RawSender, Tag,
    frame::{Arp, tagged, unsolicited_advertisement},
    poll_until,
    traffic::numbered::Pace,
};
use serde_json::json;

use crate::bench::{Bench, DC1, DC2, FOR_EVER, IN_DATAPATH, SOON, Told, told, vm};

/// Who learns from data, and the reason that is told then.
const LEARNERS: [(&str, &str); 2] = [("never", ""), ("always", IN_DATAPATH)];

/// Runs a test with either learner, and an address of either kind that is bound to DC 1.
fn each(options: &[&str], test: fn(Bench, IpAddr, &str) -> Result<()>) -> Result<()> {
    for (learner, reason) in LEARNERS {
        for vm in [vm(0), vm(1)] {
            let bench = Bench::start(&[options, &["--learn-in-datapath", learner]].concat())?;
            bench.bind(&[vm])?;
            test(bench, vm, reason)?;
        }
    }
    Ok(())
}

/// Waits until exactly this was told of an address.
fn wait_told(bench: &Bench, vm: IpAddr, expected: &[Told]) -> Result<()> {
    poll_until(SOON, &format!("the news of {vm}"), || {
        (bench.told(vm).ok()?.len() >= expected.len()).then_some(())
    })?;
    assert_eq!(bench.told(vm)?, expected);
    Ok(())
}

fn counted(bench: &Bench) -> Result<[u64; 2]> {
    let stats = bench.agent.stats()?;
    Ok(["moves", "late"].map(|name| stats.get(name)))
}

#[test]
fn within_the_hold_down_the_source_is_late_however_often() -> Result<()> {
    each(&["--hold-down", FOR_EVER], |mut bench, vm, reason| {
        // More often than it might move.
        for _ in 0..6 {
            bench.speak(vm, DC2)?;
            bench.speak(vm, DC1)?;
        }
        bench.speak(vm, DC2)?;
        wait_told(&bench, vm, &[told(["moved", "dc1", "dc2", reason])])?;
        assert_eq!(counted(&bench)?, [1, 6]);
        assert_eq!(bench.place(vm)?, ("dc2".to_owned(), "learned".to_owned()));
        bench.finish()
    })
}

#[test]
fn without_a_hold_down_each_is_a_move_and_counts_towards_the_quarantine() -> Result<()> {
    each(&["--hold-down", "0s"], |mut bench, vm, reason| {
        for vlan in [DC2, DC1, DC2] {
            bench.speak(vm, vlan)?;
        }
        let moved = |from, to| told(["moved", from, to, reason]);
        let mut news = vec![
            moved("dc1", "dc2"),
            moved("dc2", "dc1"),
            moved("dc1", "dc2"),
        ];
        wait_told(&bench, vm, &news)?;
        assert_eq!(counted(&bench)?, [3, 0]);
        // One more is left to it within three minutes, and the next is one too many.
        bench.speak(vm, DC1)?;
        let arrived = bench.arrived();
        bench.vms.send(Pace::Flood, 1, &[(vm, DC2)])?;
        let held = match reason {
            "" => "move 5 within the window",
            by_datapath => by_datapath,
        };
        news.push(moved("dc2", "dc1"));
        news.push(told(["quarantined", "dc1", "dc2", held]));
        if reason.is_empty() {
            news.push(told(["refused", "", "dc2", "quarantined"]));
        }
        wait_told(&bench, vm, &news)?;
        assert_eq!(counted(&bench)?, [4, 0]);
        let stats = bench.agent.stats()?;
        let refused = ["refused/quarantined", "drops/refused"].map(|name| stats.get(name));
        let expected = if reason.is_empty() { [1, 0] } else { [0, 1] };
        assert_eq!(refused, expected);
        ensure!(bench.arrived() == arrived, "what is refused is delivered");
        let place = ("dc1".to_owned(), "quarantined".to_owned());
        assert_eq!(bench.place(vm)?, place);
        Ok(())
    })
}

/// The hypervisor at the source announces the VM that it resumes, and so does the target in the end.
#[test]
fn a_resumed_vm_is_back_at_once_where_announcements_have_no_hold_down() -> Result<()> {
    let options = ["--hold-down", FOR_EVER, "--hold-down-announce", "0s"];
    each(&options, |mut bench, vm, reason| {
        bench.speak(vm, DC2)?;
        announce(&bench, vm, DC1)?;
        bench.wait_site(vm, "dc1")?;
        // The target's last frame.
        bench.speak(vm, DC2)?;
        announce(&bench, vm, DC2)?;
        bench.wait_site(vm, "dc2")?;
        // The source's.
        bench.speak(vm, DC1)?;
        bench.speak(vm, DC2)?;
        let expected = [
            told(["moved", "dc1", "dc2", reason]),
            told(["moved", "dc2", "dc1", ""]),
            told(["moved", "dc1", "dc2", ""]),
        ];
        wait_told(&bench, vm, &expected)?;
        assert_eq!(counted(&bench)?, [3, 2]);
        let events = bench.agent.events()?.into_iter();
        let evidence = events
            .filter(|event| event["event"] == "moved")
            .map(|event| event["evidence"].clone());
        let expected = ["data", "announce", "announce"].map(|kind| json!(kind));
        assert_eq!(evidence.collect::<Vec<_>>(), expected);
        bench.finish()
    })
}

fn announce(bench: &Bench, vm: IpAddr, vlan: u16) -> Result<()> {
    let frame = match vm {
        IpAddr::V4(v4) => Arp::announcement(bench.vms.mac, v4).frame(),
        IpAddr::V6(v6) => unsolicited_advertisement(bench.vms.mac, v6, true),
    };
    let trunk = RawSender::open(&bench.lab.wan, "pt0")?;
    trunk.send(&tagged(&[Tag::c(vlan)], &frame))
}
