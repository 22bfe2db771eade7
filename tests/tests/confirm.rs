//! After a move the old place is asked whether the address still answers there: silence, or two live
//! hosts with one address, between real hosts.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{Agent, Lab, Mac, RawReceiver, Tag, Vm, fig1::RUN, frame::tagged, poll_until};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);
/// The old place is asked for a second; this is longer.
const ASKED: Duration = Duration::from_millis(1500);
const SILENCE: Duration = Duration::from_millis(150);
const A: Mac = [0x52, 0x54, 0, 0, 0, 0x0a];
const B: Mac = [0x52, 0x54, 0, 0, 0, 0x0b];
const VM_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const VM_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13);
const BOTH: [IpAddr; 2] = [IpAddr::V4(VM_IPV4), IpAddr::V6(VM_IPV6)];

/// The switch of the figure, and a client that takes what it is sent.
struct Bench {
    // Before the lab, which it runs in.
    agent: Agent,
    trunk: RawReceiver,
    lab: Lab,
    _sinks: [UdpSocket; 2],
}

impl Bench {
    fn start(options: &[&str]) -> Result<Self> {
        let lab = Lab::fig1()?;
        let mut agent = Agent::start(&lab.switch, &[&RUN, options].concat())?;
        agent.wait_ready(SOON)?;
        Ok(Self {
            agent,
            trunk: RawReceiver::open(&lab.wan, "pt0")?,
            _sinks: [lab.client.v4(5000).udp()?, lab.client.v6(5000).udp()?],
            lab,
        })
    }

    /// A host with the address of all of them.
    fn host(&self, dc: usize, name: &str, mac: Mac) -> Result<Vm> {
        let vm = self.lab.add_vm(dc, name, mac, VM_IPV4, VM_IPV6)?;
        let client = &self.lab.client;
        vm.add_neighbour(client.ipv4.into(), client.mac)?;
        vm.add_neighbour(client.ipv6.into(), client.mac)?;
        Ok(vm)
    }

    /// Has a host speak to the client, and waits until its address is at `site`.
    fn speak(&self, vm: &Vm, address: IpAddr, site: &str) -> Result<()> {
        self.send(vm, address)?;
        poll_until(SOON, &format!("{address} to be at {site}"), || {
            let flow = self.flow(address).ok()?;
            (flow["site"] == site).then_some(())
        })
    }

    fn send(&self, vm: &Vm, address: IpAddr) -> Result<()> {
        let (from, to) = match address {
            IpAddr::V4(_) => (vm.v4(0), self.lab.client.v4(5000)),
            IpAddr::V6(_) => (vm.v6(0), self.lab.client.v6(5000)),
        };
        from.udp()?.send_to(b"here I am", to.addr)?;
        Ok(())
    }

    fn flow(&self, address: IpAddr) -> Result<Value> {
        let flows: Vec<Value> = serde_json::from_str(&self.agent.cli_ok(&["flows", "--json"])?)?;
        let mut flows = flows.into_iter();
        flows
            .find(|flow| flow["address"] == json!(address.to_string()))
            .with_context(|| format!("no flow of {address}"))
    }

    fn stat(&self, name: &str) -> Result<u64> {
        let stats: Value = serde_json::from_str(&self.agent.cli_ok(&["stats", "--json"])?)?;
        stats[name].as_u64().with_context(|| name.to_owned())
    }

    /// The events of an address, without their times.
    fn events(&self, address: IpAddr) -> Result<Vec<Value>> {
        let text = self.agent.cli_ok(&["events", "--json"])?;
        let mut events = Vec::new();
        for line in text.lines() {
            let mut event: Value = serde_json::from_str(line)?;
            if event["address"] != json!(address.to_string()) {
                continue;
            }
            let fields = event.as_object_mut().context("an object")?;
            for measured in ["time", "learn_us", "gap_ms", "network", "address"] {
                fields.remove(measured);
            }
            events.push(event);
        }
        Ok(events)
    }

    fn wait_duplicate(&self, address: IpAddr) -> Result<Value> {
        poll_until(SOON, "an event of a duplicate", || {
            let events = self.events(address).ok()?;
            events
                .into_iter()
                .find(|event| event["event"] == "duplicate")
        })
    }

    /// The questions to a MAC that leave the trunk until nothing more does, each with its VLAN.
    fn questions(&mut self, mac: Mac, silence: Duration) -> Result<Vec<(u16, Vec<u8>)>> {
        let port = self.lab.switch.link("t0")?.mac;
        let heard = self.trunk.drain(silence)?;
        let questions = heard
            .iter()
            .filter(|got| got.frame.get(..12) == Some([mac, port].concat().as_slice()));
        let untagged = questions.map(|got| {
            let frame = &got.frame;
            let vlan = u16::from_be_bytes([frame[14], frame[15]]);
            (vlan, [&frame[..12], &frame[16..]].concat())
        });
        Ok(untagged.collect())
    }
}

/// What the switch asks for an address, as RFC 9161 §3.4 has it: from nobody, to the host itself.
fn question(port: Mac, mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => {
            let mut frame = [mac, port].concat();
            frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
            frame.extend(port);
            frame.extend([0; 4 + 6]);
            frame.extend(v4.octets());
            frame
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f] = port;
            let link_local = Ipv6Addr::from([
                0xfe,
                0x80,
                0,
                0,
                0,
                0,
                0,
                0,
                a ^ 2,
                b,
                c,
                0xff,
                0xfe,
                d,
                e,
                f,
            ]);
            let mut solicitation = lab::frame::neighbour_solicitation(port, link_local, v6);
            // That one goes to a group; this one to the host, with another checksum.
            solicitation[..6].copy_from_slice(&mac);
            solicitation[38..54].copy_from_slice(&v6.octets());
            solicitation
        }
    }
}

/// Without the checksum of an IPv6 message, which the receiving host has judged.
fn without_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    if frame[12..14] == [0x86, 0xdd] {
        frame[56..58].fill(0);
    }
    frame
}

#[test]
fn a_real_move_stands_after_three_questions() -> Result<()> {
    for address in BOTH {
        let mut bench = Bench::start(&[])?;
        let mut vm = bench.host(0, "vm13", A)?;
        bench.speak(&vm, address, "dc1")?;
        bench.lab.migrate(&mut vm, 1)?;
        bench.speak(&vm, address, "dc2")?;

        let port = bench.lab.switch.link("t0")?.mac;
        let expected = without_checksum(question(port, A, address));
        let mut asked = bench.questions(A, ASKED)?;
        for (_, frame) in &mut asked {
            *frame = without_checksum(std::mem::take(frame));
        }
        assert_eq!(asked, vec![(1, expected); 3], "{address}");
        let events = bench.events(address)?;
        assert_eq!(
            events,
            [
                json!({"event": "created", "to": "dc1", "evidence": "data"}),
                json!({"event": "moved", "from": "dc1", "to": "dc2", "evidence": "data"}),
            ]
        );
        let counted = ["questions", "conflicts", "unconfirmed"].map(|name| bench.stat(name).ok());
        assert_eq!(counted, [Some(3), Some(0), Some(0)]);
        assert_eq!(bench.flow(address)?["site"], "dc2");
    }
    Ok(())
}

/// Two hosts with one address, of which the second speaks after the first. The switch has found out.
fn fight(options: &[&str], address: IpAddr, macs: [Mac; 2]) -> Result<(Bench, [Vm; 2], Value)> {
    let bench = Bench::start(options)?;
    let first = bench.host(0, "first", macs[0])?;
    let second = bench.host(1, "second", macs[1])?;
    let mut client = RawReceiver::open(&bench.lab.client.ns, "pc0")?;
    bench.speak(&first, address, "dc1")?;
    bench.send(&second, address)?;
    let duplicate = bench.wait_duplicate(address)?;
    assert_eq!(bench.stat("conflicts")?, 1);
    ensure!(bench.stat("passed")? > 0, "the answer stays the host's");
    // The client has heard both hosts speak, and not what they have answered.
    let port = bench.lab.switch.link("t0")?.mac;
    let leaked = client.drain(SILENCE)?;
    let leaked = leaked.iter().filter(|got| got.frame[..6] == port);
    assert_eq!(leaked.count(), 0);
    Ok((bench, [first, second], duplicate))
}

fn duplicate(done: &str, macs: [&str; 2]) -> Value {
    json!({
        "event": "duplicate", "from": "dc1", "to": "dc2",
        "reason": done, "mac": macs[1], "old_mac": macs[0],
    })
}

const A_TEXT: &str = "52:54:00:00:00:0a";
const B_TEXT: &str = "52:54:00:00:00:0b";

#[test]
fn two_live_hosts_raise_the_alarm() -> Result<()> {
    for address in BOTH {
        for (macs, texts) in [([A, B], [A_TEXT, B_TEXT]), ([A, A], [A_TEXT, A_TEXT])] {
            let (mut bench, _vms, told) = fight(&[], address, macs)?;
            assert_eq!(told, duplicate("alarm", texts));
            let flow = bench.flow(address)?;
            assert_eq!(
                (&flow["site"], &flow["state"]),
                (&json!("dc2"), &json!("learned"))
            );
            assert_eq!(flow["mac"], texts[1], "the answer does not teach");
            // Who has answered is not asked again.
            ensure!(!bench.questions(A, SILENCE)?.is_empty(), "nobody asked");
            assert_eq!(bench.questions(A, ASKED)?, []);
            let events = bench.events(address)?.len();
            assert_eq!(events, 3, "created, moved, duplicate");
        }
    }
    Ok(())
}

#[test]
fn two_live_hosts_are_rolled_back_where_the_operator_wants_it() -> Result<()> {
    for address in BOTH {
        let (bench, [first, second], told) = fight(
            &["--on-conflict", "roll-back", "--hold-down", "60s"],
            address,
            [A, B],
        )?;
        assert_eq!(told, duplicate("roll-back", [A_TEXT, B_TEXT]));
        let flow = bench.flow(address)?;
        assert_eq!(
            (&flow["site"], &flow["previous_site"], &flow["mac"]),
            (&json!("dc1"), &json!("dc2"), &json!(A_TEXT))
        );
        let events = bench.events(address)?;
        let back = json!({
            "event": "moved", "from": "dc2", "to": "dc1", "reason": "it answers at both sites",
        });
        assert_eq!(events.last(), Some(&back));
        // The intruder's next packet is a late one, the owner's an ordinary one.
        let late = bench.stat("late")?;
        bench.send(&second, address)?;
        poll_until(SOON, "a late packet", || {
            (bench.stat("late").ok()? > late).then_some(())
        })?;
        bench.speak(&first, address, "dc1")?;
        assert_eq!(bench.events(address)?.len(), events.len());
    }
    Ok(())
}

#[test]
fn what_the_datapath_has_learned_is_questioned_too() -> Result<()> {
    let options = [
        "--learn-in-datapath",
        "always",
        "--on-conflict",
        "roll-back",
    ];
    for address in BOTH {
        let (bench, _vms, told) = fight(&options, address, [A, B])?;
        assert_eq!(told, duplicate("roll-back", [A_TEXT, B_TEXT]));
        assert_eq!(bench.stat("moves_in_datapath")?, 1);
        poll_until(SOON, "the way back", || {
            let flow = bench.flow(address).ok()?;
            (flow["site"] == "dc1" && flow["mac"] == A_TEXT).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn two_live_hosts_are_quarantined_where_the_operator_wants_it() -> Result<()> {
    for address in BOTH {
        let options = ["--on-conflict", "quarantine", "--hold-down", "0s"];
        let (bench, [first, second], told) = fight(&options, address, [A, B])?;
        assert_eq!(told, duplicate("quarantine", [A_TEXT, B_TEXT]));
        let flow = bench.flow(address)?;
        assert_eq!(
            (&flow["site"], &flow["state"]),
            (&json!("dc2"), &json!("quarantined"))
        );
        bench.send(&first, address)?;
        poll_until(SOON, "a refusal", || {
            let events = bench.events(address).ok()?;
            let refused = json!({
                "event": "refused", "to": "dc1", "evidence": "data", "reason": "quarantined",
            });
            events.contains(&refused).then_some(())
        })?;
        bench.speak(&second, address, "dc2")?;
        let text = address.to_string();
        bench.agent.cli_ok(&["release", &text])?;
        bench.speak(&first, address, "dc1")?;
    }
    Ok(())
}

#[test]
fn nobody_is_asked_where_the_operator_does_not_want_it_or_has_moved_it() -> Result<()> {
    let mut bench = Bench::start(&["--confirm", "off"])?;
    let first = bench.host(0, "first", A)?;
    let second = bench.host(1, "second", B)?;
    for address in BOTH {
        bench.speak(&first, address, "dc1")?;
        bench.speak(&second, address, "dc2")?;
    }
    assert_eq!(bench.questions(A, SILENCE)?, []);
    assert_eq!(bench.stat("conflicts")?, 0);

    let mut bench = Bench::start(&[])?;
    let first = bench.host(0, "first", A)?;
    for address in BOTH {
        bench.speak(&first, address, "dc1")?;
        let text = address.to_string();
        bench.agent.cli_ok(&["move", &text, "--site", "dc2"])?;
    }
    assert_eq!(bench.questions(A, SILENCE)?, []);
    Ok(())
}

#[test]
fn an_answer_that_nobody_asked_for_does_nothing() -> Result<()> {
    let bench = Bench::start(&[])?;
    let vm = bench.host(0, "first", A)?;
    bench.speak(&vm, BOTH[0], "dc1")?;
    let port = bench.lab.switch.link("t0")?.mac;
    let nobody = Ipv4Addr::UNSPECIFIED;
    let answer = lab::frame::Arp::reply(B, VM_IPV4, port, nobody).frame();
    let wan = lab::RawSender::open(&bench.lab.wan, "pt0")?;
    let passed = bench.stat("passed")?;
    wan.send_all(std::iter::repeat_n(
        tagged(&[Tag::c(2)], &answer).as_slice(),
        50,
    ))?;
    poll_until(SOON, "the answers to be the host's", || {
        (bench.stat("passed").ok()? >= passed + 50).then_some(())
    })?;
    // The agent reads in order: what it learns now it has learned behind the answers.
    bench.speak(&vm, BOTH[1], "dc1")?;
    assert_eq!(bench.flow(BOTH[0])?["site"], "dc1");
    assert_eq!(bench.events(BOTH[0])?.len(), 1);
    assert_eq!((bench.stat("conflicts")?, bench.stat("moves")?), (0, 0));
    Ok(())
}
