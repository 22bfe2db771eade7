//! A host: a namespace with one interface and real sockets.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    Mac, Namespace, Tag,
    net::{
        bpf::{Rule, Step, When},
        sysctl::silence,
        tc::{self, Side},
    },
    poll_until,
};

/// The prefix of every host's IPv4 address.
pub const IPV4_PREFIX: u8 = 24;
/// The prefix of every host's IPv6 address.
pub const IPV6_PREFIX: u8 = 64;

/// How long an address may stay taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// A network namespace that plays a computer: the client or a VM.
#[derive(Clone, Debug)]
pub struct Host {
    /// Where it is.
    pub ns: Namespace,
    /// Its interface.
    pub interface: String,
    /// The interface's hardware address.
    pub mac: Mac,
    /// The interface's IPv4 address.
    pub ipv4: Ipv4Addr,
    /// The interface's IPv6 address.
    pub ipv6: Ipv6Addr,
}

impl Host {
    /// Makes a host of a namespace that has an interface but no addresses yet.
    ///
    /// # Errors
    /// When an address cannot be set.
    pub fn new(ns: Namespace, interface: &str, ipv4: Ipv4Addr, ipv6: Ipv6Addr) -> Result<Self> {
        ns.enable_ipv6(interface)?;
        let mac = ns.link(interface)?.mac;
        let host = Self {
            ns,
            interface: interface.to_owned(),
            mac,
            ipv4,
            ipv6,
        };
        host.add_address(ipv4.into())?;
        host.add_address(ipv6.into())?;
        Ok(host)
    }

    /// Gives the host one more address, on the same link.
    ///
    /// # Errors
    /// When it has it already.
    pub fn add_address(&self, address: IpAddr) -> Result<()> {
        let prefix = if address.is_ipv4() {
            IPV4_PREFIX
        } else {
            IPV6_PREFIX
        };
        self.ns.add_address(&self.interface, address, prefix)
    }

    /// Tells the host for good where an address is.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_neighbour(&self, address: IpAddr, mac: Mac) -> Result<()> {
        self.ns.add_neighbour(&self.interface, address, mac)
    }

    /// Tells two hosts about each other, so that neither needs ARP or neighbour discovery.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn introduce(&self, other: &Self) -> Result<()> {
        for (knows, known) in [(self, other), (other, self)] {
            knows.add_neighbour(known.ipv4.into(), known.mac)?;
            knows.add_neighbour(known.ipv6.into(), known.mac)?;
        }
        Ok(())
    }

    /// Puts the host into a VLAN: all it sends has the tag, and it hears nothing without it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn join_vlan(&self, tag: Tag) -> Result<()> {
        let untag: Rule<'_> = (When::Tagged(tag), &[Step::Pop, Step::Pass]);
        let (ns, link) = (&self.ns, &self.interface);
        tc::attach(ns, link, Side::Ingress, &[untag], &[Step::Drop])?;
        let tagged = [Step::Push(tag), Step::Pass];
        tc::attach(ns, link, Side::Egress, &[silence()], &tagged)
    }

    /// A port of the host's IPv4 address.
    #[must_use]
    pub fn v4(&self, port: u16) -> Endpoint {
        Endpoint {
            ns: self.ns.clone(),
            addr: (self.ipv4, port).into(),
        }
    }

    /// A port of the host's IPv6 address.
    #[must_use]
    pub fn v6(&self, port: u16) -> Endpoint {
        Endpoint {
            ns: self.ns.clone(),
            addr: (self.ipv6, port).into(),
        }
    }
}

/// An address and port of a namespace: where a socket is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The namespace.
    pub ns: Namespace,
    /// The address and port in it.
    pub addr: SocketAddr,
}

impl Endpoint {
    /// A UDP socket here.
    ///
    /// # Errors
    /// When the address is not the namespace's, or the port is taken.
    pub fn udp(&self) -> Result<UdpSocket> {
        self.open(|| UdpSocket::bind(self.addr))
            .with_context(|| format!("bind UDP {} in {}", self.addr, self.ns.name()))
    }

    /// A listening TCP socket here.
    ///
    /// # Errors
    /// As [`Endpoint::udp`].
    pub fn listen(&self) -> Result<TcpListener> {
        self.open(|| TcpListener::bind(self.addr))
            .with_context(|| format!("listen on TCP {} in {}", self.addr, self.ns.name()))
    }

    /// Opens a socket, also where one has just been closed: another test that starts a process at
    /// that moment holds a copy of it until the process has become its program.
    fn open<T: Send>(&self, bind: impl Fn() -> io::Result<T> + Sync) -> Result<T> {
        let free = || match self.ns.run(&bind) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
            opened => Some(opened),
        };
        Ok(poll_until(PATIENCE, "the address to be free", free)??)
    }

    /// A TCP connection from this namespace to another endpoint; the kernel chooses the source.
    ///
    /// # Errors
    /// When nobody answers in time.
    pub fn connect(&self, to: SocketAddr, timeout: Duration) -> Result<TcpStream> {
        self.ns
            .run(|| TcpStream::connect_timeout(&to, timeout))
            .with_context(|| format!("connect from {} to TCP {to}", self.ns.name()))
    }
}
