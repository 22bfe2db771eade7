//! RARP names a MAC and no address.

use anyhow::Result;
use serde_json::json;

use super::{ADDRESSES, Bench, VM_IPV4, VM_MAC, frame};

#[test]
fn moves_all_that_is_bound_for_its_mac_and_goes_no_further() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    for address in ADDRESSES {
        bench.learn(1, address)?;
    }
    bench.send(2, &frame::rarp(VM_MAC))?;
    for address in ADDRESSES {
        bench.waits_at(address, "dc2")?;
    }
    bench.nothing_arrives()?;
    bench.counts("/drops/rarp", 1)?;
    bench.counts("/moves", 2)?;
    let events = bench.events()?;
    for address in ADDRESSES {
        let moved = json!({
            "event": "moved", "network": "default", "address": address.to_string(),
            "from": "dc1", "to": "dc2", "evidence": "announce",
        });
        assert_eq!(events.iter().filter(|event| **event == moved).count(), 1);
    }
    Ok(())
}

#[test]
fn of_an_unknown_mac_binds_nothing() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    bench.learn(1, VM_IPV4)?;
    bench.send(2, &frame::rarp([0x52, 0x54, 0, 0, 0, 99]))?;
    bench.counts("/drops/rarp", 1)?;
    bench.nothing_arrives()?;
    assert_eq!(bench.site(VM_IPV4)?.as_deref(), Some("dc1"));
    bench.counts("/bindings/count", 1)?;
    bench.counts("/created", 1)
}

#[test]
fn moves_nothing_where_the_operator_does_not_want_it() -> Result<()> {
    let mut bench = Bench::start(&["--move-together", "never"])?;
    bench.learn(1, VM_IPV4)?;
    bench.send(2, &frame::rarp(VM_MAC))?;
    bench.counts("/drops/rarp", 1)?;
    // The agent takes frames in their order: once this one is through, the other was.
    bench.learn(1, super::VM_IPV6)?;
    assert_eq!(bench.site(VM_IPV4)?.as_deref(), Some("dc1"));
    Ok(())
}

#[test]
fn that_is_malformed_moves_nothing() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    bench.learn(1, VM_IPV4)?;
    let good = frame::rarp(VM_MAC);
    let bad = [(14, 9), (21, 4), (22, 0x50), (22, 0x53)];
    for (at, value) in bad {
        let mut frame = good.clone();
        frame[at] = value;
        bench.send(2, &frame)?;
    }
    bench.send(2, &good[..41])?;
    bench.counts("/drops/rarp", bad.len() as u64 + 1)?;
    bench.learn(1, super::VM_IPV6)?;
    bench.nothing_arrives()?;
    assert_eq!(bench.site(VM_IPV4)?.as_deref(), Some("dc1"));
    bench.counts("/moves", 0)
}
