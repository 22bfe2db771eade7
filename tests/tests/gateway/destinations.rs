//! Where learning packets go, and that real nodes take them.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{
    fig1::{CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC},
    frame::{Arp, BROADCAST, Ndp},
};

use crate::{SOON, Site, VM_IPV4, VM_IPV6, VM_MAC};

/// Checks what arrives at the client's discard port, and from whom.
fn takes(discard: &UdpSocket, from: IpAddr) -> Result<()> {
    discard.set_read_timeout(Some(SOON))?;
    let mut buffer = [0; 128];
    loop {
        let (length, sender) = discard.recv_from(&mut buffer)?;
        assert_eq!((&buffer[..4], length), (&b"VMLP"[..], 64));
        if sender.ip() == from {
            return Ok(());
        }
    }
}

#[test]
fn a_node_is_looked_up_and_takes_the_packets() -> Result<()> {
    let (v4, v6) = (CLIENT_IPV4.to_string(), CLIENT_IPV6.to_string());
    let options = ["--announce-to", &v4, "--announce-to", &v6];
    let mut site = Site::start_with(&options, |lab| lab.wire(0))?;
    // The real client has answered both questions when packets no longer go to everyone.
    let mut number = 100;
    loop {
        let address = Ipv4Addr::new(10, 0, 0, number);
        number += 1;
        ensure!(number < 200, "the client's MAC is not found");
        site.vm_sends(&Arp::announcement(VM_MAC, address).frame())?;
        let told = site.told(5)?.pop().context("five packets")?;
        assert_eq!(told.to, IpAddr::from(CLIENT_IPV4));
        if told.to_mac == CLIENT_MAC {
            break;
        }
        assert_eq!(told.to_mac, BROADCAST);
    }
    let discard = site.lab.client.v4(9).udp()?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    takes(&discard, VM_IPV4.into())?;
    site.told(5)?;

    // The same once more for IPv6.
    let discard = site.lab.client.v6(9).udp()?;
    site.vm_sends(&Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame())?;
    takes(&discard, VM_IPV6.into())?;
    let told = site.told(5)?;
    assert!(told.iter().all(|told| told.to == IpAddr::from(CLIENT_IPV6)));
    assert_eq!(told[4].to_mac, CLIENT_MAC);
    Ok(())
}

#[test]
fn a_node_that_does_not_answer_is_reached_by_broadcast() -> Result<()> {
    let mut site = Site::start(&["--announce-to", "10.0.0.250"])?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    for told in site.told(5)? {
        assert_eq!(told.to, IpAddr::from([10, 0, 0, 250]));
        assert_eq!(told.to_mac, BROADCAST);
    }
    Ok(())
}

#[test]
fn a_node_whose_mac_is_given_is_not_looked_up() -> Result<()> {
    let mut site = Site::start(&["--announce-to", "10.0.0.250@02:00:00:00:00:07"])?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    let mut told = 0;
    while let Some(got) = site.trunk.receive(Duration::from_millis(1500))? {
        match crate::Told::read(&got.frame) {
            Some(packet) => {
                assert_eq!(packet.to_mac, [2, 0, 0, 0, 0, 7]);
                told += 1;
            }
            // The VM's own announcement, carried. No question.
            None => assert_eq!(got.frame[6..12], VM_MAC, "{:02x?}", got.frame),
        }
    }
    assert_eq!(told, 5);
    Ok(())
}

#[test]
fn each_destination_is_told() -> Result<()> {
    let to = [
        "224.0.0.1",
        "10.0.0.250@02:00:00:00:00:07",
        "255.255.255.255",
    ];
    let options: Vec<_> = to.iter().flat_map(|to| ["--announce-to", to]).collect();
    let mut site = Site::start(&options)?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    let told = site.told(15)?;
    for (address, mac) in [
        ([224, 0, 0, 1], [1, 0, 0x5e, 0, 0, 1]),
        ([10, 0, 0, 250], [2, 0, 0, 0, 0, 7]),
        ([255; 4], BROADCAST),
    ] {
        let of = told.iter().filter(|told| told.to == IpAddr::from(address));
        let macs: Vec<_> = of.map(|told| told.to_mac).collect();
        assert_eq!(macs, [mac; 5]);
    }
    Ok(())
}

#[test]
fn without_a_destination_of_the_family_there_is_an_event() -> Result<()> {
    let mut site = Site::start(&["--announce-to", "ff02::1"])?;
    ensure!(
        site.gateway
            .stderr()
            .contains("no --announce-to is an IPv4 address"),
        "it warns of it at the start: {}",
        site.gateway.stderr()
    );
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    site.wait_for("/learning_packets/no_destination", 1)?;
    let event = site.events("no-destination")?.pop().context("an event")?;
    assert_eq!(event["address"], VM_IPV4.to_string());
    assert_eq!(event["reason"], "no --announce-to is an IPv4 address");
    site.vm_sends(&Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame())?;
    assert!(
        site.told(5)?
            .iter()
            .all(|told| told.from == IpAddr::from(VM_IPV6))
    );
    Ok(())
}
