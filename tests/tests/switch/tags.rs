//! What frames look like before and behind the switch, byte by byte.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, RawReceiver, RawSender, Tag,
    frame::{self, Arp, tagged},
};
use serde_json::json;

use crate::{
    RUN, SILENCE, SOON, VM_IPV4, VM_IPV6, VM_MAC, run,
    stream::{SINK_IPV4, SINK_IPV6, SINK_MAC},
};

const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

/// Both ends of the switch, raw.
struct Wires {
    // First: it cleans up, and the lab's ports must still be there then.
    agent: Agent,
    lab: Lab,
    client: (RawSender, RawReceiver),
    trunk: (RawSender, RawReceiver),
}

impl Wires {
    fn start(arguments: &[&str]) -> Result<Self> {
        let lab = Lab::fig1()?;
        let agent = run(&lab.switch, arguments)?;
        let (client, wan) = (&lab.client.ns, &lab.wan);
        Ok(Self {
            client: (
                RawSender::open(client, "pc0")?,
                RawReceiver::open(client, "pc0")?,
            ),
            trunk: (RawSender::open(wan, "pt0")?, RawReceiver::open(wan, "pt0")?),
            lab,
            agent,
        })
    }

    /// Sends a frame from the sites and wants exactly this at the client.
    fn down(&mut self, frame: &[u8], expected: &[u8]) -> Result<()> {
        self.trunk.0.send(frame)?;
        let got = self
            .client
            .1
            .receive(SOON)?
            .context("nothing at the client")?;
        ensure!(
            got.frame == expected,
            "{frame:02x?} became {:02x?}",
            got.frame
        );
        Ok(())
    }

    /// Sends a frame from the client and wants exactly these on the trunk.
    fn up(&mut self, frame: &[u8], expected: &[Vec<u8>]) -> Result<()> {
        self.client.0.send(frame)?;
        for expected in expected {
            let got = self
                .trunk
                .1
                .receive(SOON)?
                .context("nothing on the trunk")?;
            ensure!(
                got.frame == *expected,
                "{frame:02x?} became {:02x?}",
                got.frame
            );
        }
        Ok(())
    }

    /// Nothing more arrives anywhere.
    fn silent(&mut self) -> Result<()> {
        for receiver in [&mut self.client.1, &mut self.trunk.1] {
            let more = receiver.drain(SILENCE)?;
            ensure!(more.is_empty(), "{more:02x?}");
        }
        Ok(())
    }
}

/// From the VM to somebody at the client's side and back, over IPv4 and IPv6.
fn packets() -> [(Vec<u8>, Vec<u8>); 2] {
    let v4 = ((VM_IPV4, 7).into(), (SINK_IPV4, 9).into());
    let v6 = ((VM_IPV6, 7).into(), (SINK_IPV6, 9).into());
    [v4, v6].map(|(vm, client)| {
        (
            frame::udp(VM_MAC, SINK_MAC, vm, client, b"down"),
            frame::udp(SINK_MAC, VM_MAC, client, vm, b"up"),
        )
    })
}

#[test]
fn tags_inside_are_carried_through_and_priorities_kept() -> Result<()> {
    let c = |vid| Tag::c(vid).with_priority(5, true);
    // The client, the site, and how they are written.
    let cases = [
        (None, c(1), "c0", "t0:1"),
        (None, Tag::s(300), "c0", "t0:300/802.1ad"),
        (Some(Tag::c(7)), c(1), "c0:7", "t0:1"),
        (
            Some(Tag::s(7)),
            Tag::s(300),
            "c0:7/802.1ad",
            "t0:300/802.1ad",
        ),
    ];
    for (client, site, client_option, site_option) in cases {
        let site_option = format!("dc1={site_option}");
        let arguments = ["run", "--client", client_option, "--site", &site_option];
        let mut wires = Wires::start(&arguments)?;
        let inside: [&[Tag]; 3] = [&[], &[Tag::c(99)], &[Tag::s(98), Tag::c(97)]];
        for (down, up) in packets() {
            for inside in inside {
                let at_site = |tag: Tag, plain: &[u8]| tagged(&[&[tag], inside].concat(), plain);
                let at_client = |priority: Tag, plain: &[u8]| {
                    let own = client.map(|tag| tag.with_priority(priority.pcp, priority.dei));
                    tagged(&[own.as_slice(), inside].concat(), plain)
                };
                wires.down(&at_site(site, &down), &at_client(site, &down))?;
                // An untagged client has no priority to give.
                let own = client.map(|_| site).unwrap_or(Tag {
                    pcp: 0,
                    dei: false,
                    ..site
                });
                wires.up(&at_client(site, &up), &[at_site(own, &up)])?;
            }
        }
        wires.silent()?;
        assert_eq!(wires.agent.stats()?.faults(), []);
    }
    Ok(())
}

#[test]
fn a_flow_is_shown_and_counted_as_designed() -> Result<()> {
    let mut wires = Wires::start(&RUN)?;
    let [(down, up), _] = packets();
    let at_site = |plain: &[u8]| tagged(&[Tag::c(1)], plain);
    for _ in 0..3 {
        wires.down(&at_site(&down), &down)?;
    }
    for _ in 0..2 {
        wires.up(&up, &[at_site(&up)])?;
    }
    wires.silent()?;
    // Bytes count as they leave: with the tag up, without it down.
    let expected = json!({
        "network": "default",
        "address": "10.0.0.13",
        "site": "dc1",
        "state": "learned",
        "previous_site": null,
        "mac": "52:54:00:00:00:0d",
        "uplink": {
            "match": {"in_port": "c0", "dst": "10.0.0.13"},
            "instruction": {"vlan": 1, "output": "t0"},
            "packets": 2,
            "bytes": 2 * (up.len() + 4),
        },
        "downlink": {
            "match": {"in_port": "t0", "vlan": 1, "src": "10.0.0.13"},
            "instruction": {"output": "c0"},
            "packets": 3,
            "bytes": 3 * down.len(),
        },
    });
    assert_eq!(wires.agent.flow("10.0.0.13")?, Some(expected));
    let stats = wires.agent.stats()?;
    let counted = [
        ("ports/t0/rx_packets", 3),
        ("ports/t0/rx_bytes", 3 * (down.len() + 4)),
        ("ports/t0/tx_packets", 2),
        ("ports/t0/tx_bytes", 2 * (up.len() + 4)),
        ("ports/c0/rx_packets", 2),
        ("ports/c0/rx_bytes", 2 * up.len()),
        ("ports/c0/tx_packets", 3),
        ("ports/c0/tx_bytes", 3 * down.len()),
        ("sites/dc1/rx_packets", 3),
        ("sites/dc1/tx_packets", 2),
        ("sites/dc2/rx_packets", 0),
        ("sites/dc2/tx_packets", 0),
    ];
    for (path, count) in counted {
        assert_eq!(stats.get(path), count as u64, "{path}");
    }
    Ok(())
}

#[test]
fn frames_for_everyone_reach_each_site_once_and_questions_their_owner() -> Result<()> {
    let mut wires = Wires::start(&RUN)?;
    let [(down, up), (down6, _)] = packets();
    let everywhere = |plain: &[u8]| [1, 2].map(|vid| tagged(&[Tag::c(vid)], plain));
    let question = Arp::request(SINK_MAC, SINK_IPV4, VM_IPV4).frame();
    let question6 = frame::neighbour_solicitation(SINK_MAC, SINK_IPV6, VM_IPV6);
    // Nobody knows where the VM is yet.
    for frame in [&question, &question6, &up] {
        wires.up(frame, &everywhere(frame))?;
    }
    for frame in [&down, &down6] {
        wires.down(&tagged(&[Tag::c(2)], frame), frame)?;
    }
    for frame in [&question, &question6, &up] {
        wires.up(frame, &[tagged(&[Tag::c(2)], frame)])?;
    }
    wires.silent()?;
    assert_eq!(wires.agent.stats()?.get("flooded"), 3);
    Ok(())
}

#[test]
fn what_is_the_hosts_stays_with_the_host_and_sites_do_not_meet() -> Result<()> {
    let mut wires = Wires::start(&RUN)?;
    let [(down, _), _] = packets();
    wires.down(&tagged(&[Tag::c(1)], &down), &down)?;
    // Untagged, of an unknown VLAN, and for the port itself.
    let mut for_port = down.clone();
    for_port[..6].copy_from_slice(&wires.lab.switch.link("t0")?.mac);
    let hosts = [
        down.clone(),
        tagged(&[Tag::c(3)], &down),
        tagged(&[Tag::s(1)], &down),
        tagged(&[Tag::c(1)], &for_port),
    ];
    let mut host = RawReceiver::open(&wires.lab.switch, "t0")?;
    for frame in &hosts {
        wires.trunk.0.send(frame)?;
        let got = host.receive(SOON)?.context("nothing for the host")?;
        assert_eq!(&got.frame, frame);
    }
    // From the other site to the VM: only the client's side may have it.
    let (from, to) = ((STRANGER, 7).into(), (VM_IPV4, 9).into());
    let stranger = frame::udp([2; 6], VM_MAC, from, to, b"across");
    wires.down(&tagged(&[Tag::c(2)], &stranger), &stranger)?;
    wires.silent()?;
    let stats = wires.agent.stats()?;
    assert_eq!(
        (stats.get("passed"), stats.get("ports/t0/tx_packets")),
        (4, 0)
    );
    Ok(())
}
