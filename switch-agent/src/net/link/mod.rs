//! Network links (interfaces) of the calling thread's namespace: looking at them and changing the
//! two flags that a port needs.

mod error;
mod parse;
#[cfg(test)]
mod tests;
mod watch;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use rtnetlink::{
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage},
    },
    sys::protocols::NETLINK_ROUTE,
};

use super::netlink::ask;

pub use error::LinkError;
pub use watch::{LinkEvent, LinkWatch, watch};

/// Longest name an interface can have, in bytes (IFNAMSIZ less the closing zero).
pub const MAX_NAME: usize = libc::IFNAMSIZ - 1;

/// What is attached at a link's XDP hook (`rtnl_xdp_fill` in the kernel's `net/core/rtnetlink.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpAttached {
    /// Id of the program as `bpftool prog` shows it; 0 when there is one in more than one mode.
    pub prog_id: u32,
    /// How it runs.
    pub mode: XdpMode,
}

/// How an attached XDP program runs (`XDP_ATTACHED_*` in `linux/if_link.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the stack, on socket buffers.
    Generic,
    /// On the network card.
    Offloaded,
    /// Programs in several modes at once.
    Multiple,
    /// A mode this was not written for.
    Unknown(u8),
}

/// One link as netlink shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index, unique in its namespace and never given out twice while that lives.
    pub index: u32,
    /// Its main name; a link that was asked for by an alternative name shows its main one here.
    pub name: String,
    /// MAC address; zeroes where the link has none of six bytes.
    pub mac: [u8; 6],
    /// Bytes of payload behind the Ethernet header.
    pub mtu: u32,
    /// Set up by the operator (IFF_UP).
    pub up: bool,
    /// Has a carrier (IFF_LOWER_UP).
    pub carrier: bool,
    /// IFF_PROMISC is set. The kernel reports only what user space asked for by this flag, not
    /// what a bridge or packet socket asks for (`dev_get_flags` in `net/core/dev.c`).
    pub promiscuous: bool,
    /// The loopback device.
    pub loopback: bool,
    /// Carries Ethernet frames (ARPHRD_ETHER).
    pub ethernet: bool,
    /// Index of the bridge, bond or other master that it is a member of.
    pub master: Option<u32>,
    /// `veth`, `bridge`, `tun` …; none for most hardware.
    pub kind: Option<String>,
    /// The link this one is tied to: a veth's peer, a VLAN's or macvlan's lower device. None where
    /// there is none or it is in another namespace.
    pub tied_to: Option<u32>,
    /// A tap before each of whose frames there is a header of virtio-net (IFF_VNET_HDR). In it a guest can
    /// leave checksums and segmentation to the host.
    pub virtio_headers: bool,
    /// The program at its XDP hook.
    pub xdp: Option<XdpAttached>,
}

impl Link {
    /// One end of a veth pair.
    #[must_use]
    pub fn is_veth(&self) -> bool {
        self.kind.as_deref() == Some("veth")
    }
}

/// The link called `name`, alternative names included.
///
/// # Errors
/// [`LinkError::NotFound`] if there is none; else what the name or netlink has against it.
pub fn by_name(name: &str) -> Result<Link, LinkError> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(LinkError::BadName { name: name.into() });
    }
    let mut request = LinkMessage::default();
    let name_attribute = LinkAttribute::IfName(name.to_owned());
    request.attributes = vec![name_attribute, without_statistics()];
    get(name, request)
}

/// The link with this index.
///
/// # Errors
/// As [`by_name`].
pub fn by_index(index: u32) -> Result<Link, LinkError> {
    let name = format!("#{index}");
    // Index 0 would ask for no link in particular; indexes are positive `int`s in the kernel.
    if index == 0 || i32::try_from(index).is_err() {
        return Err(LinkError::NotFound { name });
    }
    let mut request = LinkMessage::default();
    request.header.index = index;
    request.attributes = vec![without_statistics()];
    get(&name, request)
}

/// Counters are most of a link's message.
fn without_statistics() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

fn get(name: &str, request: LinkMessage) -> Result<Link, LinkError> {
    let mut found = None;
    let what = || format!("look up interface {name}");
    let asked = run(RouteNetlinkMessage::GetLink(request), 0, what, |message| {
        found = found.take().or_else(|| Link::parse(message));
    });
    match (asked, found) {
        (Ok(()), Some(link)) => Ok(link),
        (Err(e), _) if !e.is_gone() => Err(e),
        _ => Err(LinkError::NotFound { name: name.into() }),
    }
}

/// All links of the namespace, by index.
///
/// # Errors
/// What netlink answers.
pub fn list() -> Result<Vec<Link>, LinkError> {
    let mut request = LinkMessage::default();
    request.attributes = vec![without_statistics()];
    let mut links = Vec::new();
    let what = || "list the interfaces".to_owned();
    run(
        RouteNetlinkMessage::GetLink(request),
        NLM_F_DUMP,
        what,
        |message| links.extend(Link::parse(message)),
    )?;
    links.sort_by_key(|link| link.index);
    Ok(links)
}

/// Sets the link up or down.
///
/// # Errors
/// That it is gone, that the caller may not, or what its driver answers.
pub fn set_up(link: &Link, up: bool) -> Result<(), LinkError> {
    let state = if up { "up" } else { "down" };
    set_flag(link, LinkFlags::Up, up, state)
}

/// Turns the link's promiscuous flag on or off. That leaves alone what bridges and packet sockets
/// asked for on their own.
///
/// # Errors
/// As [`set_up`].
pub fn set_promiscuous(link: &Link, on: bool) -> Result<(), LinkError> {
    let state = if on { "promiscuous" } else { "not promiscuous" };
    set_flag(link, LinkFlags::Promisc, on, state)
}

fn set_flag(link: &Link, flag: LinkFlags, on: bool, state: &str) -> Result<(), LinkError> {
    let mut request = LinkMessage::default();
    request.header.index = link.index;
    request.header.flags = if on { flag } else { LinkFlags::empty() };
    request.header.change_mask = flag;
    let what = || format!("set port {} {state}", link.name);
    run(
        RouteNetlinkMessage::SetLink(request),
        NLM_F_ACK,
        what,
        |_| (),
    )
}

/// Has netlink do something, which `what` names for an error's text: "set port c0 up".
fn run(
    request: RouteNetlinkMessage,
    flags: u16,
    what: impl FnOnce() -> String,
    mut answer: impl FnMut(&RouteNetlinkMessage),
) -> Result<(), LinkError> {
    ask(NETLINK_ROUTE, request, flags, |message| answer(&message)).map_err(|source| {
        LinkError::Netlink {
            what: what(),
            source,
        }
    })
}
