//! Network links (interfaces) of the calling thread's namespace: looking at them and changing the
//! two flags that a port needs.

mod error;
mod parse;
mod rtnl;
#[cfg(test)]
mod tests;
mod watch;

use rtnl::{IfInfo, Request};

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
    /// The program at its XDP hook.
    pub xdp: Option<XdpAttached>,
}

/// The link called `name`, alternative names included.
///
/// # Errors
/// [`LinkError::NotFound`] if there is none; else what the name or netlink has against it.
pub fn by_name(name: &str) -> Result<Link, LinkError> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(LinkError::BadName { name: name.into() });
    }
    let mut value = name.as_bytes().to_vec();
    value.push(0);
    let attributes = [(libc::IFLA_IFNAME, value.as_slice()), SKIP_STATISTICS];
    get(name, IfInfo::default(), &attributes)
}

/// The link with this index.
///
/// # Errors
/// As [`by_name`].
pub fn by_index(index: u32) -> Result<Link, LinkError> {
    let name = format!("#{index}");
    // Index 0 would ask for no link in particular; indexes are positive `int`s in the kernel.
    let Some(index) = i32::try_from(index).ok().filter(|i| *i > 0) else {
        return Err(LinkError::NotFound { name });
    };
    let info = IfInfo {
        index,
        ..IfInfo::default()
    };
    get(&name, info, &[SKIP_STATISTICS])
}

/// IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS: counters are most of a link's message.
const SKIP_STATISTICS: (u16, &[u8]) = (libc::IFLA_EXT_MASK, &(1_u32 << 3).to_ne_bytes());

fn get(name: &str, info: IfInfo, attributes: &[(u16, &[u8])]) -> Result<Link, LinkError> {
    let mut found = None;
    let asked = Request {
        kind: libc::RTM_GETLINK,
        flags: 0,
        info,
        attributes,
        what: &format!("look up interface {name}"),
    }
    .run(|message| found = found.take().or_else(|| Link::parse(message)));
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
    let mut links = Vec::new();
    Request {
        kind: libc::RTM_GETLINK,
        flags: libc::NLM_F_DUMP as u16,
        info: IfInfo::default(),
        attributes: &[SKIP_STATISTICS],
        what: "list the interfaces",
    }
    .run(|message| links.extend(Link::parse(message)))?;
    links.sort_by_key(|link| link.index);
    Ok(links)
}

/// Sets the link up or down.
///
/// # Errors
/// That it is gone, that the caller may not, or what its driver answers.
pub fn set_up(link: &Link, up: bool) -> Result<(), LinkError> {
    let state = if up { "up" } else { "down" };
    set_flag(link, libc::IFF_UP, up, state)
}

/// Turns the link's promiscuous flag on or off. That leaves alone what bridges and packet sockets
/// asked for on their own.
///
/// # Errors
/// As [`set_up`].
pub fn set_promiscuous(link: &Link, on: bool) -> Result<(), LinkError> {
    let state = if on { "promiscuous" } else { "not promiscuous" };
    set_flag(link, libc::IFF_PROMISC, on, state)
}

fn set_flag(link: &Link, flag: libc::c_int, on: bool, state: &str) -> Result<(), LinkError> {
    let flag = flag.cast_unsigned();
    Request {
        kind: libc::RTM_SETLINK,
        flags: libc::NLM_F_ACK as u16,
        info: IfInfo {
            index: link.index.cast_signed(),
            flags: if on { flag } else { 0 },
            change: flag,
            ..IfInfo::default()
        },
        attributes: &[],
        what: &format!("set port {} {state}", link.name),
    }
    .run(|_| ())
}
