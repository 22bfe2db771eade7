//! Fig. 1: the client, the switch, the WAN and the data centres.
//!
//! ```text
//!  client          switch            wan                    dc1 (and so on)
//!  pc0 ────────── c0   t0 ────────── pt0   w1 ────────────── up ─ br0 ─ tap-NAME ── eth0 of VM
//!                                          w2 ─ (dc2)
//!       untagged           VLAN 1, 2           one VLAN each      untagged
//! ```
//! The WAN sorts the trunk's frames by their tag alone; a data centre's `up` takes the tag off
//! and puts it on, which makes it gateway 11 or 21. Whatever has another tag is dropped. The
//! switch namespace has its two ports and nothing else: a test starts `switch-agent` in it, or
//! stands a plain wire in for it with [`Lab::wire`]. [`Lab::add_trunk`] makes more trunks: `t1`
//! ends at `pt1`.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::Deref,
};

use anyhow::{Context, Result};

use crate::{
    Host, Mac, Namespace, Tag,
    frame::{ETHERTYPE_ARP, ETHERTYPE_RARP},
    net::{
        address::move_interface,
        bpf::{Rule, Step, When},
        tc::{self, Side},
        veth::{MTU, veth, veth_with_mtu},
    },
};

/// A trunk carries a full frame of the client and its tag.
pub const TRUNK_MTU: u32 = MTU + 4;
/// The client's MAC address.
pub const CLIENT_MAC: Mac = [0x52, 0x54, 0, 0, 0, 1];
/// The client's IPv4 address.
pub const CLIENT_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The client's IPv6 address.
pub const CLIENT_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

/// How the switch of the figure is started, with DC 1 as `dc1` and DC 2 as `dc2`.
pub const RUN: [&str; 7] = [
    "run", "--client", "c0", "--site", "dc1=t0:1", "--site", "dc2=t0:2",
];

/// The trunk of the figure.
const TRUNK: &str = "t0";
/// The bridge that is a data centre's LAN.
pub const BRIDGE: &str = "br0";
const UPLINK: &str = "up";
/// The bridge's end of the cable to a real gateway.
const GATEWAY: &str = "lan-br";

/// The laboratory. Dropping it removes everything.
#[derive(Debug)]
pub struct Lab {
    /// PC 32, on the switch's port `c0`.
    pub client: Host,
    /// The switch 35: ports `c0` (to the client) and `t0` (the trunk).
    pub switch: Namespace,
    /// What is between the trunk and the data centres; `pt0` is the trunk's other end.
    pub wan: Namespace,
    /// The data centres, in the order they were added.
    pub dc: Vec<Dc>,
}

/// A data centre: a LAN, with a gateway to its VLAN.
#[derive(Clone, Debug)]
pub struct Dc {
    /// Its LAN: the bridge `br0` with the VMs' taps and the uplink `up`.
    pub ns: Namespace,
    /// The switch's port that leads to it.
    pub trunk: String,
    /// Its VLAN on the trunk.
    pub tag: Tag,
    /// The WAN's end of its uplink.
    pub wan_port: String,
}

/// A virtual machine: a host whose cable can be plugged in elsewhere while it runs.
#[derive(Clone, Debug)]
pub struct Vm {
    host: Host,
    tap: String,
    dc: usize,
}

impl Dc {
    /// Plugs a device into the LAN: `port` in its namespace, `lan_port` at the bridge.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn plug(&self, ns: &Namespace, port: &str, lan_port: &str) -> Result<()> {
        veth((ns, port), (&self.ns, lan_port))?;
        self.ns.set_bridge(lan_port, Some(BRIDGE))
    }

    /// The port of the bridge where the switch's frames come in: that of a real gateway if one has been
    /// let in.
    #[must_use]
    pub fn from_the_switch(&self) -> &str {
        match self.ns.link(GATEWAY) {
            Ok(_) => GATEWAY,
            Err(_) => UPLINK,
        }
    }
}

impl Vm {
    /// The data centre it is in, as an index of [`Lab::dc`].
    #[must_use]
    pub fn dc(&self) -> usize {
        self.dc
    }

    /// The other end of its cable, a port of the data centre's bridge.
    #[must_use]
    pub fn tap(&self) -> &str {
        &self.tap
    }
}

impl Deref for Vm {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Lab {
    /// The figure as drawn: DC 1 on VLAN 1, DC 2 on VLAN 2, and no VM yet.
    ///
    /// # Errors
    /// When the kernel refuses something, which is then named.
    pub fn fig1() -> Result<Self> {
        let mut lab = Self::without_sites()?;
        lab.add_dc(Tag::c(1))?;
        lab.add_dc(Tag::c(2))?;
        Ok(lab)
    }

    /// The client, the switch and the WAN, before any data centre.
    ///
    /// # Errors
    /// As [`Lab::fig1`].
    pub fn without_sites() -> Result<Self> {
        let switch = Namespace::new("switch")?;
        let wan = Namespace::new("wan")?;
        let client = attach_client(&switch, "c0", CLIENT_MAC, CLIENT_IPV4, CLIENT_IPV6)?;
        let lab = Self {
            client,
            switch,
            wan,
            dc: Vec::new(),
        };
        lab.add_trunk(TRUNK)?;
        Ok(lab)
    }

    /// Adds another trunk: the switch gets `port`, the WAN `p` + `port`.
    ///
    /// # Errors
    /// When the port's name is taken.
    pub fn add_trunk(&self, port: &str) -> Result<()> {
        let wan_end = wan_end(port);
        veth_with_mtu(
            (&self.switch, port),
            (&self.wan, wan_end.as_str()),
            TRUNK_MTU,
        )?;
        self.sort_trunk(port)
    }

    /// Adds another client on a port of its own: the switch gets `port`, the host `p` + `port`.
    ///
    /// # Errors
    /// When the port's name is taken.
    pub fn add_client(&self, port: &str, mac: Mac, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Host> {
        attach_client(&self.switch, port, mac, v4, v6)
    }

    /// Adds a data centre on a VLAN of the trunk `t0`, and gives its index.
    ///
    /// # Errors
    /// As [`Lab::fig1`].
    pub fn add_dc(&mut self, tag: Tag) -> Result<usize> {
        self.add_dc_on(TRUNK, tag)
    }

    /// Adds a data centre on a VLAN of a trunk, and gives its index.
    ///
    /// # Errors
    /// When there is no such trunk.
    pub fn add_dc_on(&mut self, trunk: &str, tag: Tag) -> Result<usize> {
        let number = self.dc.len() + 1;
        let ns = Namespace::new(&format!("dc{number}"))?;
        let wan_port = format!("w{number}");
        veth_with_mtu((&self.wan, wan_port.as_str()), (&ns, UPLINK), TRUNK_MTU)?;
        ns.add_bridge(BRIDGE)?;
        ns.set_bridge(UPLINK, Some(BRIDGE))?;
        let untag: Rule<'_> = (When::Tagged(tag), &[Step::Pop, Step::Pass]);
        tc::attach(&ns, UPLINK, Side::Ingress, &[untag], &[Step::Drop])?;
        tc::attach(
            &ns,
            UPLINK,
            Side::Egress,
            &[],
            &[Step::Push(tag), Step::Pass],
        )?;
        let wan_end = self.wan.link(&wan_end(trunk))?.index;
        let up: Rule<'_> = (When::Tagged(tag), &[Step::Redirect(wan_end)]);
        tc::attach(&self.wan, &wan_port, Side::Ingress, &[up], &[Step::Drop])?;
        self.dc.push(Dc {
            ns,
            trunk: trunk.to_owned(),
            tag,
            wan_port,
        });
        self.sort_trunk(trunk)?;
        Ok(number - 1)
    }

    /// Sends what comes out of a trunk to the data centre of its tag.
    fn sort_trunk(&self, trunk: &str) -> Result<()> {
        let mut ways = Vec::new();
        for dc in self.dc.iter().filter(|dc| dc.trunk == trunk) {
            let port = self.wan.link(&dc.wan_port)?.index;
            ways.push((When::Tagged(dc.tag), [Step::Redirect(port)]));
        }
        let rules: Vec<Rule<'_>> = ways
            .iter()
            .map(|(when, way)| (*when, way.as_slice()))
            .collect();
        tc::attach(
            &self.wan,
            &wan_end(trunk),
            Side::Ingress,
            &rules,
            &[Step::Drop],
        )
    }

    /// Starts a VM in a data centre. Its name has at most 11 characters.
    ///
    /// # Errors
    /// When the name is too long or taken there.
    pub fn add_vm(
        &self,
        dc: usize,
        name: &str,
        mac: Mac,
        ipv4: Ipv4Addr,
        ipv6: Ipv6Addr,
    ) -> Result<Vm> {
        let lan = &self.site(dc)?.ns;
        let ns = Namespace::new(name)?;
        let tap = format!("tap-{name}");
        veth((&ns, "eth0", mac), (lan, tap.as_str()))?;
        lan.set_bridge(&tap, Some(BRIDGE))?;
        let host = Host::new(ns, "eth0", ipv4, ipv6)?;
        Ok(Vm { host, tap, dc })
    }

    /// Moves a running VM to another data centre, as a live migration does: the guest keeps its
    /// interface, MAC, addresses and connections and only finds itself on another LAN. It
    /// announces nothing, and what it sends while the cable is out is lost, so tests that count
    /// hold their senders meanwhile.
    ///
    /// # Errors
    /// When there is no such data centre.
    pub fn migrate(&self, vm: &mut Vm, to: usize) -> Result<()> {
        let (source, target) = (self.site(vm.dc)?, self.site(to)?);
        move_interface(&vm.tap, &source.ns, &target.ns)?;
        target.ns.set_bridge(&vm.tap, Some(BRIDGE))?;
        vm.dc = to;
        vm.ns.wait_running(&vm.interface)?;
        Ok(())
    }

    /// Gives every cable between the client and a VM in its data centre another MTU; the trunk has
    /// room for a tag on top, as [`TRUNK_MTU`] has.
    ///
    /// # Errors
    /// When a driver refuses it.
    pub fn set_mtu(&self, vm: &Vm, mtu: u32) -> Result<()> {
        let dc = self.site(vm.dc)?;
        let wan_end = wan_end(&dc.trunk);
        for (ns, link, mtu) in [
            (&vm.ns, vm.interface.as_str(), mtu),
            (&dc.ns, vm.tap.as_str(), mtu),
            (&dc.ns, UPLINK, mtu + 4),
            (&self.wan, dc.wan_port.as_str(), mtu + 4),
            (&self.wan, wan_end.as_str(), mtu + 4),
            (&self.switch, dc.trunk.as_str(), mtu + 4),
            (&self.switch, "c0", mtu),
            (&self.client.ns, self.client.interface.as_str(), mtu),
        ] {
            ns.set_mtu(link, mtu)?;
        }
        Ok(())
    }

    /// Stands in for the switch: a wire from the client's port to the VLAN of one data centre.
    /// Called again, it changes the data centre in place.
    ///
    /// # Errors
    /// When there is no such data centre.
    pub fn wire(&self, dc: usize) -> Result<()> {
        let Dc { tag, trunk, .. } = self.site(dc)?;
        let tag = *tag;
        let client = self.switch.link("c0")?.index;
        let up = [
            Step::Push(tag),
            Step::Redirect(self.switch.link(trunk)?.index),
        ];
        let down: Rule<'_> = (When::Tagged(tag), &[Step::Pop, Step::Redirect(client)]);
        tc::attach(&self.switch, "c0", Side::Ingress, &[], &up)?;
        tc::attach(&self.switch, trunk, Side::Ingress, &[down], &[Step::Drop])
    }

    /// Takes a data centre's stand-in gateway away and leaves its place to a real one: between
    /// the ports `lan`, which sits on the LAN untagged, and `up`, with the tagged VLAN, both in
    /// the namespace of the data centre.
    ///
    /// # Errors
    /// When that was done before.
    pub fn open_gateway(&self, dc: usize) -> Result<()> {
        let dc = self.site(dc)?;
        dc.ns.set_bridge(UPLINK, None)?;
        tc::detach(&dc.ns, UPLINK)?;
        dc.plug(&dc.ns, "lan", GATEWAY)
    }

    /// Makes the VPNs carry IP and nothing else, both ways: who hears a VM's ARP and RARP is on its
    /// LAN. Hosts have to be introduced to each other then. It is for the trunk `t0` and the data
    /// centres there are.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn carry_ip_only(&self) -> Result<()> {
        let ports = self.dc.iter().map(|dc| dc.wan_port.clone());
        let rules: [Rule<'_>; 2] = [ETHERTYPE_ARP, ETHERTYPE_RARP]
            .map(|ethertype| (When::Ethertype(ethertype), &[Step::Drop][..]));
        for port in ports.chain([wan_end(TRUNK)]) {
            tc::attach(&self.wan, &port, Side::Egress, &rules, &[Step::Pass])?;
        }
        Ok(())
    }

    /// Has a data centre's stand-in gateway lose the hypervisors' announcements.
    ///
    /// # Errors
    /// When there is no such data centre.
    pub fn lose_rarp(&self, dc: usize) -> Result<()> {
        let dc = self.site(dc)?;
        let lost: Rule<'_> = (When::Ethertype(ETHERTYPE_RARP), &[Step::Drop]);
        let tagged = [Step::Push(dc.tag), Step::Pass];
        tc::attach(&dc.ns, UPLINK, Side::Egress, &[lost], &tagged)
    }

    /// A data centre by its index.
    ///
    /// # Errors
    /// When there is none.
    pub fn site(&self, dc: usize) -> Result<&Dc> {
        self.dc
            .get(dc)
            .with_context(|| format!("the lab has no data centre of index {dc}"))
    }
}

/// The WAN's end of a trunk.
fn wan_end(trunk: &str) -> String {
    format!("p{trunk}")
}

fn attach_client(
    switch: &Namespace,
    port: &str,
    mac: Mac,
    ipv4: Ipv4Addr,
    ipv6: Ipv6Addr,
) -> Result<Host> {
    let ns = Namespace::new("client")?;
    let interface = format!("p{port}");
    veth((switch, port), (&ns, interface.as_str(), mac))?;
    Host::new(ns, &interface, ipv4, ipv6)
}
