//! Telling a controller, as the conventional system does.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use anyhow::{Context, Result};
use lab::{Agent, Lab, frame::Arp};
use serde_json::Value;
use tempfile::TempDir;

use crate::{ID, SOON, Site, VM_IPV4, VM_IPV6, VM_MAC, arguments};

/// Reads a request, and answers it.
fn posted(stream: &mut TcpStream) -> Result<(String, Value)> {
    stream.set_read_timeout(Some(SOON))?;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"}") {
        let length = stream.read(&mut buffer)?;
        anyhow::ensure!(length > 0, "the request ended too soon");
        request.extend_from_slice(&buffer[..length]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    let request = String::from_utf8(request)?;
    let (head, body) = request.split_once("\r\n\r\n").context("a body")?;
    Ok((head.to_owned(), serde_json::from_str(body)?))
}

#[test]
fn each_announcement_is_posted_once() -> Result<()> {
    let lab = Lab::fig1()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    lab.open_gateway(0)?;
    let listener = lab.dc[0].ns.run(|| TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}/moved", listener.local_addr()?);
    let state = TempDir::new()?;
    // Nobody else is told.
    let arguments = arguments(&state, &["--notify", &url]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut gateway = Agent::start(&lab.dc[0].ns, &arguments)?;
    gateway.wait_ready(SOON)?;
    let sender = lab::RawSender::open(&vm.ns, "eth0")?;
    let second = Ipv4Addr::new(10, 0, 0, 14);
    for address in [VM_IPV4, VM_IPV4, second] {
        sender.send(&Arp::announcement(VM_MAC, address).frame())?;
    }
    let (mut stream, _) = listener.accept()?;
    for address in [VM_IPV4, second] {
        let (head, body) = posted(&mut stream)?;
        assert!(head.starts_with("POST /moved HTTP/1.1\r\n"), "{head}");
        assert_eq!(body["gateway"], ID);
        assert_eq!(body["announcement"], "arp");
        assert_eq!(body["mac"], "52:54:00:00:00:0d");
        assert_eq!(body["address"], address.to_string());
    }
    lab::poll_until(SOON, "both to be counted", || {
        let stats = gateway.cli_ok(&["stats", "--json"]).ok()?;
        let stats: Value = serde_json::from_str(&stats).ok()?;
        (stats["notify"]["sent"] == 2).then_some(())
    })
}

#[test]
fn a_controller_that_is_not_there_stops_nothing() -> Result<()> {
    let options = [
        "--announce-to",
        "224.0.0.1",
        "--notify",
        "http://127.0.0.1:9/",
    ];
    let mut site = Site::start(&options)?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    assert_eq!(site.told(5)?.len(), 5);
    site.wait_for("/notify/failed", 1)
}
