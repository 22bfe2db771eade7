//! Reading a link out of a netlink message.

use super::{
    Link, XdpAttached, XdpMode,
    rtnl::{IfInfo, Message, attributes},
};

// Nested in IFLA_XDP (linux/if_link.h); libc has no names for them.
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
// Nested in IFLA_LINKINFO.
const IFLA_INFO_KIND: u16 = 1;

impl Link {
    /// Reads an RTM_NEWLINK or RTM_DELLINK about a whole link. None for anything else, such as a
    /// bridge's message about one of its ports (family AF_BRIDGE).
    pub(super) fn parse(message: &Message<'_>) -> Option<Self> {
        if !matches!(message.kind, libc::RTM_NEWLINK | libc::RTM_DELLINK) {
            return None;
        }
        let (info, rest) = IfInfo::parse(message.payload)?;
        if i32::from(info.family) != libc::AF_UNSPEC {
            return None;
        }
        let has = |flag: libc::c_int| info.flags & flag.cast_unsigned() != 0;
        let mut link = Self {
            index: u32::try_from(info.index).ok()?,
            name: String::new(),
            mac: [0; 6],
            mtu: 0,
            up: has(libc::IFF_UP),
            carrier: has(libc::IFF_LOWER_UP),
            promiscuous: has(libc::IFF_PROMISC),
            loopback: has(libc::IFF_LOOPBACK),
            ethernet: info.hardware == libc::ARPHRD_ETHER,
            master: None,
            kind: None,
            tied_to: None,
            xdp: None,
        };
        let mut elsewhere = false;
        for (kind, value) in attributes(rest) {
            match kind {
                libc::IFLA_IFNAME => link.name = text(value),
                libc::IFLA_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
                libc::IFLA_MTU => link.mtu = number(value).unwrap_or_default(),
                libc::IFLA_MASTER => link.master = number(value),
                libc::IFLA_LINK => link.tied_to = number(value).filter(|i| *i != 0),
                libc::IFLA_LINK_NETNSID => elsewhere = true,
                libc::IFLA_LINKINFO => {
                    link.kind = attributes(value)
                        .find(|(kind, _)| *kind == IFLA_INFO_KIND)
                        .map(|(_, value)| text(value));
                }
                libc::IFLA_XDP => link.xdp = XdpAttached::parse(value),
                _ => {}
            }
        }
        if elsewhere {
            // The number is an index of the other namespace and may be somebody else's here.
            link.tied_to = None;
        }
        Some(link)
    }
}

impl XdpAttached {
    fn parse(nested: &[u8]) -> Option<Self> {
        let mut mode = 0;
        let mut prog_id = 0;
        for (kind, value) in attributes(nested) {
            match kind {
                IFLA_XDP_ATTACHED => mode = value.first().copied().unwrap_or(0),
                IFLA_XDP_PROG_ID => prog_id = number(value).unwrap_or(0),
                _ => {}
            }
        }
        let mode = match mode {
            0 => return None,
            1 => XdpMode::Native,
            2 => XdpMode::Generic,
            3 => XdpMode::Offloaded,
            4 => XdpMode::Multiple,
            other => XdpMode::Unknown(other),
        };
        Some(Self { prog_id, mode })
    }
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*value.first_chunk()?))
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}
