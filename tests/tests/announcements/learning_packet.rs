//! Learning packets, as a gateway sends them for an idle VM.

use std::net::IpAddr;

use anyhow::Result;
use hmac::{Hmac, KeyInit, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::{ADDRESSES, Bench, RUN, SOON, VM_IPV4, VM_IPV6, VM_MAC, packet};

/// The discard port.
const PORT: u16 = 9;

/// The payload of a learning packet, byte by byte.
pub(super) fn payload(gateway: u32, sequence: u64) -> Vec<u8> {
    let mut payload = b"VMLP".to_vec();
    payload.extend([1, 1, 0, 0]); // Version, ARP announcement, unsigned.
    payload.extend(gateway.to_be_bytes());
    payload.extend(sequence.to_be_bytes());
    payload.extend(VM_MAC);
    payload.extend([0; 6 + 32]);
    payload
}

/// The same, signed for an address.
pub(super) fn signed(gateway: u32, sequence: u64, address: IpAddr, key: &[u8]) -> Vec<u8> {
    let mut payload = payload(gateway, sequence);
    payload[6] = 1;
    let address = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    hmac.update(&payload[..32]);
    hmac.update(&address.octets());
    payload[32..].copy_from_slice(&hmac.finalize().into_bytes());
    payload
}

pub(super) fn learning_packet(address: IpAddr, payload: &[u8]) -> Vec<u8> {
    packet(address, PORT, payload)
}

#[test]
fn binds_moves_and_goes_no_further() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    for (sequence, address) in (1..).zip(ADDRESSES) {
        bench.send(1, &learning_packet(address, &payload(7, sequence)))?;
        bench.waits_at(address, "dc1")?;
        bench.send(2, &learning_packet(address, &payload(7, sequence + 10)))?;
        bench.waits_at(address, "dc2")?;
    }
    bench.nothing_arrives()?;
    bench.counts("/learning_packets", 4)?;
    bench.counts("/misses", 0)?;
    let event = |event, address: IpAddr, from: Option<&str>, to| {
        let mut event = json!({
            "event": event, "network": "default", "address": address.to_string(),
            "to": to, "evidence": "announce",
        });
        if let Some(from) = from {
            event["from"] = from.into();
        }
        event
    };
    assert_eq!(
        bench.events()?,
        [
            event("created", VM_IPV4, None, "dc1"),
            event("moved", VM_IPV4, Some("dc1"), "dc2"),
            event("created", VM_IPV6, None, "dc1"),
            event("moved", VM_IPV6, Some("dc1"), "dc2"),
        ]
    );
    Ok(())
}

/// It comes by another ring than the data of a newcomer, and is read first.
#[test]
fn is_not_undone_by_what_came_before() -> Result<()> {
    let options = [&RUN[..], &["--hold-down", "0s"]].concat();
    let mut bench = Bench::start(&options[RUN.len()..])?;
    // While no agent runs both wait.
    bench.agent.kill9()?;
    let data = ADDRESSES.map(|address| packet(address, 5000, b"hello"));
    for (sequence, (address, data)) in (1..).zip(ADDRESSES.iter().zip(&data)) {
        bench.send(1, data)?;
        bench.send(2, &learning_packet(*address, &payload(7, sequence)))?;
    }
    bench.agent = bench.agent.restart(&options)?;
    bench.agent.wait_ready(SOON)?;
    for (address, data) in ADDRESSES.into_iter().zip(data) {
        bench.arrives(&data)?;
        bench.waits_at(address, "dc2")?;
    }
    bench.counts("/bindings/count", 2)?;
    bench.counts("/late", 2)?;
    bench.counts("/moves", 0)
}

#[test]
fn goes_on_to_the_client_where_the_operator_wants_it() -> Result<()> {
    let mut bench = Bench::start(&["--pass-learning-packets"])?;
    for address in ADDRESSES {
        let packet = learning_packet(address, &payload(7, 1));
        bench.send(2, &packet)?;
        bench.arrives(&packet)?;
        bench.waits_at(address, "dc2")?;
    }
    Ok(())
}

#[test]
fn other_packets_to_the_discard_port_are_ordinary_traffic() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    let ordinary = learning_packet(VM_IPV4, b"VML?");
    for _ in 0..2 {
        bench.send(1, &ordinary)?;
        bench.arrives(&ordinary)?;
    }
    bench.counts("/learning_packets", 0)
}

#[test]
fn that_cannot_be_read_is_refused() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    let (mut version, mut flags) = (payload(7, 1), payload(7, 1));
    version[4] = 2;
    flags[6] = 0x80;
    let truncated = &payload(7, 1)[..40];
    for bad in [&version[..], &flags, truncated] {
        bench.send(1, &learning_packet(VM_IPV4, bad))?;
    }
    bench.counts("/refused/unreadable", 3)?;
    bench.nothing_arrives()?;
    bench.counts("/bindings/count", 0)
}

#[test]
fn of_an_address_that_no_vm_can_have_is_refused() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    let addresses = [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "ff02::1",
    ];
    for (number, address) in (1..).zip(addresses) {
        bench.send(1, &learning_packet(address.parse()?, &payload(7, number)))?;
        bench.counts("/refused/not-an-address", number)?;
    }
    bench.nothing_arrives()?;
    bench.counts("/bindings/count", 0)?;
    let told = bench.events()?;
    let expected = addresses.map(|address| {
        json!({
            "event": "refused", "network": "default", "address": address,
            "to": "dc1", "evidence": "announce", "reason": "not-an-address",
        })
    });
    assert_eq!(told, expected);
    Ok(())
}

#[test]
fn moves_its_macs_other_addresses_where_the_operator_wants_it() -> Result<()> {
    let mut bench = Bench::start(&["--move-together", "always"])?;
    for address in ADDRESSES {
        bench.learn(1, address)?;
    }
    bench.send(2, &learning_packet(VM_IPV4, &payload(7, 1)))?;
    for address in ADDRESSES {
        bench.waits_at(address, "dc2")?;
    }
    Ok(())
}
