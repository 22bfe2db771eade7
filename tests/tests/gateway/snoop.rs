//! Listening beside something that forwards already: the lab's own bridge and tags.

use anyhow::{Context, Result};
use lab::{
    Agent, Lab, RawReceiver, RawSender, Tag, Vm,
    fig1::{CLIENT_IPV4, CLIENT_MAC},
    frame::{self, Arp, rarp, tagged},
    traffic::{ping, tcp::download},
};
use tempfile::TempDir;

use crate::{SOON, VM_IPV4, VM_IPV6, VM_MAC, arguments, told::Told};

struct Snooped {
    lab: Lab,
    vm: Vm,
    gateway: Agent,
    _state: TempDir,
}

/// The stand-in gateway stays; a real one listens on the VM's own port of the bridge.
fn snooped() -> Result<Snooped> {
    let lab = Lab::fig1()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    lab.wire(0)?;
    let state = TempDir::new()?;
    let options = ["--mode", "snoop", "--announce-to", "10.0.0.1"];
    let arguments = arguments(&state, &options);
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| {
            if argument == "lan" {
                vm.tap()
            } else {
                argument
            }
        })
        .collect();
    let mut gateway = Agent::start(&lab.dc[0].ns, &arguments)?;
    gateway.wait_ready(SOON)?;
    Ok(Snooped {
        lab,
        vm,
        gateway,
        _state: state,
    })
}

#[test]
fn every_frame_passes_untouched() -> Result<()> {
    let Snooped { lab, vm, .. } = snooped()?;
    let (client, server) = (lab.client.v4(4000), vm.v4(80));
    ping(&client, &server, SOON)?;
    ping(&lab.client.v6(4000), &vm.v6(80), SOON)?;
    assert_eq!(
        download(&server, &client, 2_000_000, SOON)?.bytes,
        2_000_000
    );
    let mut at_wan = RawReceiver::open(&lab.wan, "w1")?;
    let mut at_vm = RawReceiver::open(&vm.ns, "eth0")?;
    let (from_vm, from_wan) = (
        RawSender::open(&vm.ns, "eth0")?,
        RawSender::open(&lab.wan, "w1")?,
    );
    let udp = frame::udp(
        VM_MAC,
        CLIENT_MAC,
        (VM_IPV4, 7).into(),
        (CLIENT_IPV4, 7).into(),
        &[7; 1000],
    );
    let announcement = Arp::announcement(VM_MAC, VM_IPV4).frame();
    for frame in [&udp, &announcement, &rarp(VM_MAC)] {
        from_vm.send(frame)?;
        let expected = tagged(&[Tag::c(1)], frame);
        at_wan.expect(SOON, "the VM's frame", |got| {
            (got.frame == expected).then_some(())
        })?;
    }
    let mut down = udp.clone();
    down[..6].copy_from_slice(&VM_MAC);
    down[6..12].copy_from_slice(&CLIENT_MAC);
    from_wan.send(&tagged(&[Tag::c(1)], &down))?;
    at_vm.expect(SOON, "the client's frame", |got| {
        (got.frame == down).then_some(())
    })
}

#[test]
fn announcements_are_heard_and_told_through_the_other_port() -> Result<()> {
    let Snooped {
        lab, vm, gateway, ..
    } = snooped()?;
    let mut trunk = RawReceiver::open(&lab.wan, "w1")?;
    let sender = RawSender::open(&vm.ns, "eth0")?;
    // Its destination is looked up through the port that is only listened to.
    for number in 100..200 {
        sender.send(&Arp::announcement(VM_MAC, [10, 0, 0, number].into()).frame())?;
        let told = trunk.expect(SOON, "a learning packet", |got| Told::read(&got.frame))?;
        if told.to_mac == CLIENT_MAC {
            break;
        }
    }
    sender.send(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    let told = trunk.expect(SOON, "the VM's learning packet", |got| {
        Told::read(&got.frame).filter(|told| told.from == VM_IPV4)
    })?;
    assert_eq!((told.to_mac, told.vm_mac), (CLIENT_MAC, VM_MAC));
    sender.send(&rarp(VM_MAC))?;
    let stats = gateway.cli_ok(&["stats", "--json"])?;
    let stats: serde_json::Value = serde_json::from_str(&stats)?;
    let drops = stats["drops"].as_object().context("drops")?;
    assert!(drops.values().all(|count| *count == 0), "{stats}");
    assert_eq!(stats["ports"]["up"]["mode"], "native");
    Ok(())
}
