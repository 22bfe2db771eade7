//! Reading a link out of a netlink message.

use netlink_packet_core::Nla as _;
use rtnetlink::packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{
        InfoData, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
        XdpAttached as Attached,
    },
};

use super::{Link, XdpAttached, XdpMode};

/// IFLA_TUN_VNET_HDR of `linux/if_link.h`, which the crate has no name for.
const TUN_VNET_HDR: u16 = 5;

impl Link {
    /// Reads an RTM_NEWLINK or RTM_DELLINK about a whole link. None for anything else, such as a
    /// bridge's message about one of its ports (family AF_BRIDGE).
    pub(super) fn parse(message: &RouteNetlinkMessage) -> Option<Self> {
        match message {
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
                Self::read(link)
            }
            _ => None,
        }
    }

    fn read(message: &LinkMessage) -> Option<Self> {
        let header = &message.header;
        if header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let has = |flag| header.flags.contains(flag);
        let mut link = Self {
            index: header.index,
            name: String::new(),
            mac: [0; 6],
            mtu: 0,
            up: has(LinkFlags::Up),
            carrier: has(LinkFlags::LowerUp),
            promiscuous: has(LinkFlags::Promisc),
            loopback: has(LinkFlags::Loopback),
            ethernet: header.link_layer_type == LinkLayerType::Ether,
            master: None,
            kind: None,
            tied_to: None,
            virtio_headers: false,
            xdp: None,
        };
        let mut elsewhere = false;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(mac) => {
                    link.mac = mac.as_slice().try_into().unwrap_or_default();
                }
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Controller(index) => link.master = Some(*index),
                LinkAttribute::Link(index) => link.tied_to = Some(*index).filter(|i| *i != 0),
                LinkAttribute::LinkNetNsId(_) => elsewhere = true,
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                    link.virtio_headers = infos.iter().any(has_virtio_headers);
                }
                LinkAttribute::Xdp(attributes) => link.xdp = XdpAttached::read(attributes),
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

fn has_virtio_headers(info: &LinkInfo) -> bool {
    let LinkInfo::Data(InfoData::Tun(attributes)) = info else {
        return false;
    };
    attributes.iter().any(|attribute| {
        let mut value = vec![0; attribute.value_len()];
        attribute.emit_value(&mut value);
        attribute.kind() == TUN_VNET_HDR && value == [1]
    })
}

impl XdpAttached {
    fn read(attributes: &[LinkXdp]) -> Option<Self> {
        let mode = attributes.iter().find_map(|attribute| match attribute {
            LinkXdp::Attached(attached) => Some(attached),
            _ => None,
        })?;
        let id = attributes.iter().find_map(|attribute| match attribute {
            LinkXdp::ProgId(id) => Some(*id),
            _ => None,
        });
        let mode = match mode {
            Attached::None => return None,
            Attached::Driver => XdpMode::Native,
            Attached::SocketBuffer => XdpMode::Generic,
            Attached::Hardware => XdpMode::Offloaded,
            Attached::Multiple => XdpMode::Multiple,
            Attached::Other(other) => XdpMode::Unknown(*other),
            _ => XdpMode::Unknown(u8::MAX),
        };
        Some(Self {
            prog_id: id.unwrap_or(0),
            mode,
        })
    }
}
