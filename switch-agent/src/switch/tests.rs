//! A whole switch as it is under a kernel without frames in several buffers, whichever kernel runs the tests.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    process,
    time::{Duration, Instant},
};

use clap::Parser as _;

use super::Switch;
use crate::{
    cli::{Cli, Command},
    config::Config,
    datapath::Kernel,
    instance::detach,
    net::{
        ethtool, link,
        packet::PacketSocket,
        testing::{in_new_netns, ip},
    },
    types::InstanceName,
};

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Linux before 5.18.
const OLD: Kernel = Kernel { frags: false };

const PC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const VM: [u8; 6] = [2, 0, 0, 0, 0, 13];
const ALL: [u8; 6] = [0xff; 6];
const VLAN_1: [u8; 4] = [0x81, 0, 0, 1];

/// Takes away what a test has left, however it ends.
struct Instance(InstanceName);

impl Instance {
    fn new(label: &str) -> Self {
        let name = format!("test-{label}-{}", process::id());
        Self(name.parse().expect("a name"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = detach(&self.0);
    }
}

/// Cables c0 – p0 and t0 – p1 of this MTU; nothing sends of its own accord.
fn cables(mtu: u32) {
    for (port, end) in [("c0", "p0"), ("t0", "p1")] {
        ip(&format!(
            "link add {port} mtu {mtu} type veth peer name {end} mtu {mtu}"
        ));
        for name in [port, end] {
            ip(&format!("link set {name} addrgenmode none"));
            ip(&format!("link set {name} up"));
        }
        ethtool::set_features(end, &[("rx-gro", true)]).expect("GRO");
    }
}

fn config(more: &str) -> Config {
    let line = format!("switch-agent run --client c0 --site dc1=t0:1 --xdp-mode native {more}");
    match Cli::try_parse_from(line.split(' ').filter(|word| !word.is_empty())) {
        Ok(Cli {
            command: Command::Run(args),
            ..
        }) => args.config().expect("settings"),
        other => panic!("not run: {other:?}"),
    }
}

/// A socket that hears what comes in at the end of a cable.
fn listen(end: &str) -> OwnedFd {
    let index = link::by_name(end).expect(end).index;
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: socket(2) has no preconditions.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, protocol.into()) };
    assert!(socket >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor was just opened and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: sockaddr_ll is plain old data, for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index.cast_signed();
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a valid sockaddr_ll of that length and lives across the call.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    assert_eq!(bound, 0, "{}", io::Error::last_os_error());
    let patience = libc::timeval {
        tv_sec: 1,
        tv_usec: 0,
    };
    // SAFETY: the value is a valid timeval of that length and lives across the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const patience).cast(),
            size_of_val(&patience) as libc::socklen_t,
        )
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    socket
}

/// Waits for a frame. The kernel has taken its tag off.
fn hear(socket: &OwnedFd, wanted: &[u8]) {
    let deadline = Instant::now() + SOON;
    let mut frame = vec![0_u8; 10_000];
    while Instant::now() < deadline {
        // SAFETY: the buffer has room for the length given.
        let heard = unsafe {
            libc::recv(
                socket.as_raw_fd(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                0,
            )
        };
        if usize::try_from(heard).is_ok_and(|heard| frame[..heard] == *wanted) {
            return;
        }
    }
    panic!("a frame of {} bytes has not come", wanted.len());
}

/// An ARP request or announcement of an IPv4 address, or a UDP packet, padded to a length with what can be
/// told from zeroes.
fn frame(from: [u8; 6], to: [u8; 6], payload: &[u8], length: usize) -> Vec<u8> {
    let head = [&to[..], &from, payload].concat();
    let pad = (head.len()..length).map(|at| (at % 251) as u8);
    head.iter().copied().chain(pad).collect()
}

fn arp(mac: [u8; 6], sender: u8, target: u8) -> Vec<u8> {
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    [
        &head[..],
        &mac,
        &[10, 0, 0, sender],
        &[0; 6],
        &[10, 0, 0, target],
    ]
    .concat()
}

/// The header of a packet from the PC to the VM that is as long as the frame lets it be.
fn packet(length: usize) -> Vec<u8> {
    let [high, low] = ((length - 14) as u16).to_be_bytes();
    let mut ip = vec![0x45, 0, high, low, 0, 0, 0, 0, 64, 253, 0, 0];
    ip.extend([10, 0, 0, 1, 10, 0, 0, 13]);
    [&[8, 0], &ip[..]].concat()
}

fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &VLAN_1, &frame[12..]].concat()
}

fn send(end: &str, frame: &[u8]) {
    let link = link::by_name(end).expect(end);
    let mut socket = PacketSocket::open(&link).expect("a socket");
    let sent = socket.send_batch([frame]);
    assert_eq!(sent.sent, 1, "{sent:?}");
}

#[test]
fn frames_in_one_buffer_are_forwarded_and_handed_to_the_agent() {
    in_new_netns(|| {
        let instance = Instance::new("linear");
        cables(1500);
        let switch = Switch::start_under(OLD, &config(""), &instance.0).expect("a switch");
        let (pc, site) = (listen("p0"), listen("p1"));

        // Through the ring and out by a socket: to every site, and from an address that is new.
        for length in [60, 129, 600, 1514] {
            let asks = frame(PC, ALL, &arp(PC, 1, 13), length);
            send("p0", &asks);
            hear(&site, &asks);
        }
        let announces = frame(VM, ALL, &arp(VM, 13, 13), 60);
        send("p1", &tagged(&announces));
        hear(&pc, &announces);

        // And by the program alone, once the address is bound.
        for length in [60, 1514] {
            let talks = frame(PC, VM, &packet(length), length);
            send("p0", &talks);
            hear(&site, &talks);
        }
        switch.detach().expect("the end of the switch");
    });
}

#[test]
fn a_jumbo_mtu_is_refused() {
    in_new_netns(|| {
        let instance = Instance::new("linear-jumbo");
        cables(9000);
        let started = Switch::start_under(OLD, &config(""), &instance.0);
        let error = started.err().expect("a refusal").to_string();
        assert!(error.contains("in native mode"), "{error}");
        assert!(error.contains("--xdp-mode generic"), "{error}");
        // Under a kernel that has them it is not refused for that.
        if crate::datapath::kernel::probe().expect("a kernel").frags {
            let switch = Switch::start(&config(""), &instance.0).expect("a switch");
            switch.detach().expect("the end of the switch");
        }
    });
}
