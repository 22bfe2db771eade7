//! Learning packets that are signed, or should be.

use std::{io::Write, net::IpAddr, os::unix::fs::PermissionsExt, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::RawReceiver;
use serde_json::json;
use tempfile::NamedTempFile;

use super::{
    Bench, RUN, SILENCE, SOON, VM_IPV4, VM_IPV6, VM_MAC,
    learning_packet::{learning_packet, payload, signed},
};

const KEY: &[u8] = b"a key of gateways and switch";

fn key_file(key: &[u8]) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(key)?;
    Ok(file)
}

fn path(file: &NamedTempFile) -> Result<&str> {
    file.path().to_str().context("a path in UTF-8")
}

fn send(bench: &Bench, vid: u16, address: IpAddr, payload: &[u8]) -> Result<()> {
    bench.send(vid, &learning_packet(address, payload))
}

#[test]
fn only_what_is_signed_is_believed_and_only_once() -> Result<()> {
    let key = key_file(KEY)?;
    let options = ["--key-file", path(&key)?, "--require-signed"];
    let mut bench = Bench::start(&options)?;

    send(&bench, 1, VM_IPV4, &payload(7, 1))?;
    bench.counts("/refused/unsigned", 1)?;
    send(
        &bench,
        1,
        VM_IPV4,
        &signed(7, 1, VM_IPV4, b"another key, of equal length"),
    )?;
    bench.counts("/refused/forged", 1)?;
    // A signature holds for one address and one sequence number.
    send(&bench, 1, VM_IPV6, &signed(7, 1, VM_IPV4, KEY))?;
    bench.counts("/refused/forged", 2)?;
    let mut changed = signed(7, 1, VM_IPV4, KEY);
    changed[19] ^= 2;
    send(&bench, 1, VM_IPV4, &changed)?;
    bench.counts("/refused/forged", 3)?;
    bench.counts("/bindings/count", 0)?;

    let first = signed(7, 1, VM_IPV4, KEY);
    send(&bench, 1, VM_IPV4, &first)?;
    bench.waits_at(VM_IPV4, "dc1")?;
    send(&bench, 1, VM_IPV4, &first)?;
    bench.counts("/refused/replayed", 1)?;
    // Another gateway has numbers of its own.
    send(&bench, 2, VM_IPV4, &signed(8, 1, VM_IPV4, KEY))?;
    bench.waits_at(VM_IPV4, "dc2")?;
    send(&bench, 2, VM_IPV4, &signed(7, 2, VM_IPV4, KEY))?;
    bench.counts("/refused/gateway-twice", 1)?;

    let refused: Vec<_> = bench
        .events()?
        .into_iter()
        .filter(|event| event["event"] == "refused")
        .collect();
    let event = |address: IpAddr, to, reason| {
        json!({
            "event": "refused", "network": "default", "address": address.to_string(),
            "to": to, "evidence": "announce", "reason": reason,
        })
    };
    assert_eq!(
        refused,
        [
            event(VM_IPV4, "dc1", "unsigned"),
            event(VM_IPV4, "dc1", "forged"),
            event(VM_IPV6, "dc1", "forged"),
            event(VM_IPV4, "dc1", "replayed"),
            event(VM_IPV4, "dc2", "gateway-twice"),
        ]
    );
    bench.nothing_arrives()
}

#[test]
fn a_packet_from_before_the_agents_restart_is_a_replay() -> Result<()> {
    let key = key_file(KEY)?;
    let options = ["--key-file", path(&key)?];
    let mut bench = Bench::start(&options)?;
    let first = signed(7, 100, VM_IPV4, KEY);
    send(&bench, 1, VM_IPV4, &first)?;
    bench.waits_at(VM_IPV4, "dc1")?;
    bench.agent.kill9()?;
    // While no agent runs its packets wait in the ring.
    send(&bench, 1, VM_IPV6, &signed(7, 101, VM_IPV6, KEY))?;
    bench.agent = bench.agent.restart(&[&RUN, &options[..]].concat())?;
    bench.agent.wait_ready(SOON)?;
    bench.waits_at(VM_IPV6, "dc1")?;
    send(&bench, 1, VM_IPV4, &first)?;
    bench.counts("/refused/replayed", 1)?;
    // Without --require-signed an unsigned one is believed.
    send(&bench, 2, VM_IPV6, &payload(9, 1))?;
    bench.waits_at(VM_IPV6, "dc2")
}

#[test]
fn the_old_place_is_asked_about_what_is_not_signed_only() -> Result<()> {
    let key = key_file(KEY)?;
    let options = ["--key-file", path(&key)?, "--hold-down-announce", "0s"];
    let bench = Bench::start(&options)?;
    let mut trunk = RawReceiver::open(&bench.lab.wan, "pt0")?;
    send(&bench, 1, VM_IPV4, &signed(7, 1, VM_IPV4, KEY))?;
    bench.waits_at(VM_IPV4, "dc1")?;
    // Another gateway: this one's id belongs to its site.
    send(&bench, 2, VM_IPV4, &signed(8, 1, VM_IPV4, KEY))?;
    bench.waits_at(VM_IPV4, "dc2")?;
    ensure!(
        trunk.drain(SILENCE)?.is_empty(),
        "a signed move was questioned"
    );
    send(&bench, 1, VM_IPV4, &payload(9, 1))?;
    bench.waits_at(VM_IPV4, "dc1")?;
    let port = bench.lab.switch.link("t0")?.mac;
    trunk.expect(SOON, "the question", |got| {
        let asked = [&VM_MAC[..], &port, &[0x81, 0, 0, 2, 8, 6]].concat();
        got.frame.starts_with(&asked).then_some(())
    })
}

#[test]
fn a_key_that_cannot_be_used_is_told_before_anything_is_touched() -> Result<()> {
    let lab = lab::Lab::fig1()?;
    let run = |options: &[&str]| -> Result<(Option<i32>, String)> {
        let mut agent = lab::Agent::start(&lab.switch, &[&RUN, options].concat())?;
        let status = agent.wait_exit(Duration::from_secs(10))?;
        Ok((status.code(), agent.stderr()))
    };
    let short = key_file(b"secret")?;
    let open = key_file(KEY)?;
    open.as_file()
        .set_permissions(PermissionsExt::from_mode(0o644))?;
    for (file, why) in [
        ("/nowhere/key", "there is no key file /nowhere/key"),
        (path(&short)?, "fewer than 16 can be guessed"),
        (path(&open)?, "chmod 600"),
    ] {
        let (code, said) = run(&["--key-file", file])?;
        ensure!(code == Some(1) && said.contains(why), "{code:?}: {said}");
        ensure!(said.lines().count() == 1, "{said}");
    }
    let (code, said) = run(&["--require-signed"])?;
    ensure!(
        code == Some(2) && said.contains("--key-file"),
        "{code:?}: {said}"
    );
    ensure!(lab.switch.link("t0")?.promiscuity == 0, "t0 was touched");
    Ok(())
}
