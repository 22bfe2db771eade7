//! The options that say who is believed.

use anyhow::{Result, ensure};
use lab::{Mac, poll_until, traffic::numbered::Pace};

use crate::bench::{Bench, DC1, DC2, LATER, SOON, told, vm};

const OTHER_MAC: Mac = [0x52, 0x54, 0, 0, 0, 66];

#[test]
fn an_address_moves_only_with_its_mac_where_that_is_pinned() -> Result<()> {
    let mut bench = Bench::start(&["--pin-mac"])?;
    let mac = bench.vms.mac;
    for vm in [vm(0), vm(1)] {
        bench.speak(vm, DC1)?;
        bench.vms.mac = OTHER_MAC;
        bench.refused(vm, DC2, "other-mac", 3)?;
        assert_eq!(bench.place(vm)?.0, "dc1");
        bench.vms.mac = mac;
        // As soon as the second is over for which the address is refused there.
        poll_until(SOON, "it to move", || {
            let sent = bench.vms.send(Pace::Flood, 1, &[(vm, DC2)]);
            let place = sent.and_then(|()| bench.place(vm));
            place
                .map(|(site, _)| (site == "dc2").then_some(()))
                .transpose()
        })??;
        let refused = told(["refused", "", "dc2", "other-mac"]);
        let created = told(["created", "", "dc1", ""]);
        let moved = told(["moved", "dc1", "dc2", ""]);
        assert_eq!(bench.told(vm)?, [created, refused, moved]);
    }
    Ok(())
}

#[test]
fn the_datapath_pins_macs_too() -> Result<()> {
    let mut bench = Bench::start(&["--pin-mac", "--learn-in-datapath", "always"])?;
    let mac = bench.vms.mac;
    bench.speak(vm(0), DC1)?;
    bench.wait_settled(&[vm(0)])?;
    bench.vms.mac = OTHER_MAC;
    let before = bench.agent.stats()?;
    bench.vms.send(Pace::Flood, 5, &[(vm(0), DC2)])?;
    poll_until(SOON, "five frames to be refused", || {
        let drops = bench.agent.stats().ok()?.get("drops/refused");
        (drops == before.get("drops/refused") + 5).then_some(())
    })?;
    // Nobody was asked, so nobody remembers.
    bench.vms.mac = mac;
    bench.vms.send(Pace::Flood, 1, &[(vm(0), DC2)])?;
    bench.wait_for(2, SOON)?;
    bench.wait_site(vm(0), "dc2")?;
    let stats = bench.agent.stats()?;
    assert_eq!(stats.get("misses"), before.get("misses"));
    Ok(())
}

#[test]
fn a_site_may_learn_otherwise_than_the_others() -> Result<()> {
    let mut bench = Bench::start(&["--learn", "moves-only", "--learn-at", "dc1=auto"])?;
    for vm in [vm(0), vm(1)] {
        bench.refused(vm, DC2, "unknown", 3)?;
        bench.speak(vm, DC1)?;
        assert_eq!(bench.place(vm)?.0, "dc1");
    }
    // An order ends the second at once for which an address is refused.
    bench.refused(vm(2), DC2, "unknown", 3)?;
    let address = vm(2).to_string();
    bench.agent.cli_ok(&["bind", &address, "--site", "dc1"])?;
    bench.speak(vm(2), DC2)?;
    assert_eq!(bench.place(vm(2))?.0, "dc2");
    Ok(())
}

#[test]
fn a_full_site_leaves_the_others_their_room() -> Result<()> {
    let mut bench = Bench::start(&["--max-flows-per-site", "2"])?;
    bench.speak(vm(0), DC1)?;
    bench.speak(vm(1), DC1)?;
    bench.refused(vm(2), DC1, "site-full", 3)?;
    bench.speak(vm(3), DC2)?;
    // One leaves, which makes room for another.
    bench.speak(vm(0), DC2)?;
    bench.speak(vm(4), DC1)?;
    bench.refused(vm(5), DC1, "site-full", 3)?;
    bench.refused(vm(5), DC2, "site-full", 3)?;
    let address = vm(4).to_string();
    bench.agent.cli_ok(&["unbind", &address])?;
    bench.speak(vm(6), DC1)?;
    let stats = bench.agent.stats()?;
    assert_eq!((stats.get("bindings/count"), stats.get("moves")), (4, 1));
    Ok(())
}

#[test]
fn a_bound_address_does_not_move_to_where_it_may_not_be() -> Result<()> {
    for learn in ["always", "never"] {
        let allow = ["--allow", "dc2=10.9.0.0/16", "--learn-in-datapath", learn];
        let mut bench = Bench::start(&allow)?;
        bench.bind(&[vm(0), vm(1)])?;
        let misses = bench.agent.stats()?.get("misses");
        // The first is the second's sample, whichever address it is of.
        bench
            .vms
            .send(Pace::Flood, 1000, &[(vm(0), DC2), (vm(1), DC2)])?;
        poll_until(SOON, "a thousand refusals", || {
            let stats = bench.agent.stats().ok()?;
            let dropped: u64 = stats.drops().iter().map(|(_, count)| count).sum();
            (stats.get("refused/unauthorised") + dropped == 1000).then_some(())
        })?;
        let stats = bench.agent.stats()?;
        ensure!(stats.get("refused/unauthorised") > 0, "nobody was told");
        assert_eq!(
            stats.get("misses") - misses,
            stats.get("refused/unauthorised")
        );
        for limit in ["unauthorised", "refused"] {
            let dropped = stats.get(&format!("drops/{limit}"));
            assert_eq!(stats.get(&format!("sites/dc2/limited/{limit}")), dropped);
        }
        for vm in [vm(0), vm(1)] {
            assert_eq!(bench.place(vm)?.0, "dc1");
        }
        assert_eq!(bench.arrived(), 0);
    }
    Ok(())
}

#[test]
fn a_quarantine_ends_by_itself() -> Result<()> {
    let options = ["--hold-down", "0s", "--quarantine-moves", "2"];
    let mut bench = Bench::start(&[&options[..], &["--quarantine-time", "2s"]].concat())?;
    bench.speak(vm(0), DC1)?;
    bench.speak(vm(0), DC2)?;
    bench.refused(vm(0), DC1, "quarantined", 3)?;
    poll_until(SOON, "it to be let go", || {
        (bench.place(vm(0)).ok()?.1 == "learned").then_some(())
    })?;
    // What was refused in its quarantine is so no longer.
    bench.speak(vm(0), DC1)?;
    assert_eq!(bench.place(vm(0))?.0, "dc1");
    assert_eq!(
        bench.told(vm(0))?,
        [
            told(["created", "", "dc1", ""]),
            told(["moved", "dc1", "dc2", ""]),
            told(["quarantined", "dc2", "dc1", "move 2 within the window"]),
            told(["refused", "", "dc1", "quarantined"]),
            told(["released", "", "dc2", "its time is over"]),
            told(["moved", "dc2", "dc1", ""]),
        ]
    );
    Ok(())
}

/// What one address may have of the agent's time. (What all of a site may have, the fixtures show.)
#[test]
fn a_newcomer_is_limited() -> Result<()> {
    const FRAMES: usize = 90_000;
    let mut bench = Bench::start(&["--learn-in-datapath", "never"])?;
    // What it has not read stays in the ring.
    bench.agent.kill9()?;
    bench.vms.send(Pace::Flood, FRAMES, &[(vm(0), DC1)])?;
    poll_until(LATER, "all frames to be counted", || {
        let rx = bench.agent.stats().ok()?.get("sites/dc1/rx_packets");
        (rx == FRAMES as u64).then_some(())
    })?;
    let stats = bench.agent.stats()?;
    let [source, site] = ["source-rate", "miss-rate"].map(|limit| {
        let dropped = stats.get(&format!("drops/{limit}"));
        assert_eq!(stats.get(&format!("sites/dc1/limited/{limit}")), dropped);
        dropped
    });
    let misses = stats.get("misses");
    assert_eq!(misses + source + site, FRAMES as u64);
    ensure!(source > 0 && misses > 65_536, "{stats:?}");
    let bench = bench.restart()?;
    bench.wait_for(usize::try_from(misses)?, LATER)?;
    assert_eq!(bench.place(vm(0))?.0, "dc1");
    Ok(())
}
