//! Making a network interface ready to be a port of the switch, and putting back what was changed.
//!
//! What a port needs, and why:
//!
//! | setting | reason |
//! |---|---|
//! | up | nothing is received otherwise |
//! | promiscuous | frames are addressed to machines behind the switch, not to it |
//! | `rx-vlan-hw-parse`, `rx-vlan-stag-hw-parse` off | a tag that the card takes off is hidden from XDP |
//! | `rx-lro`, `rx-gro-hw` off | merged frames fit in no port's MTU, and most drivers refuse XDP with them |
//! | on veth, `tx-tcp*-segmentation` off | see below |
//!
//! `veth_xmit` (the kernel's `drivers/net/veth.c`) puts a socket's frame in the ring that XDP
//! redirects use only if the sending end has no TSO (`veth_skb_is_eligible_for_gro`). Otherwise the
//! frame takes the slower path through the backlog, and frames forwarded by XDP overtake the ones
//! that the agent sends.

mod check;
mod prepare;
mod restore;
#[cfg(test)]
mod tests;

use crate::net::{
    ethtool::{self, EthtoolError, Feature},
    link::{Link, XdpAttached},
};

pub use check::{Report, check, takes_redirects};
pub use prepare::{Changes, PortError, PreparedPort, apply, plan, prepare};
pub use restore::{Kept, Restored, restore};

/// An interface that is to be a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the calling thread's network namespace.
    pub name: String,
    /// What for.
    pub role: PortRole,
}

/// What a port is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// The client's side (IF #2).
    Client,
    /// A side with sites behind VLANs (IF #1).
    Trunk {
        /// Names of the client ports whose frames go out of this one, with a tag more.
        clients: Vec<String>,
        /// At least one of its sites has tags of type 0x88a8 (802.1ad).
        service_tag: bool,
    },
    /// A port that is only listened to: a bridge or router forwards its frames.
    Listener,
}

/// Something that stops an interface from being a port.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no such interface.
    #[error(
        "port {port} does not exist in this network namespace; {}",
        instead(similar, available)
    )]
    Missing {
        /// The name that was asked for.
        port: String,
        /// Names much like it.
        similar: Vec<String>,
        /// The names there are.
        available: Vec<String>,
    },
    /// It is the loopback device.
    #[error(
        "port {port} is the loopback device, which leads nowhere; name an interface with a cable or a peer"
    )]
    Loopback {
        /// The port.
        port: String,
    },
    /// It carries no Ethernet frames.
    #[error(
        "port {port} is not an Ethernet interface, so its frames have no MAC addresses and tags; name one that is (a tap instead of a tun, for example)"
    )]
    NotEthernet {
        /// The port.
        port: String,
    },
    /// It belongs to a bridge, bond or the like.
    #[error(
        "port {port} is a member of {master}, which takes its frames; take it out with `ip link set {port} nomaster`"
    )]
    Member {
        /// The port.
        port: String,
        /// The bridge or bond.
        master: String,
    },
    /// Another XDP program is on it.
    #[error("port {port} already has {} that is not the switch's; remove it with `ip link set dev {port} {} off`, or end the program that holds it if `bpftool link` shows it", program(*xdp), mode(*xdp))]
    ForeignXdp {
        /// The port.
        port: String,
        /// What is attached.
        xdp: XdpAttached,
    },
    /// A trunk does not let the client's longest frames through with their tag.
    #[error("trunk port {trunk} has MTU {mtu}, too small for frames of client port {client} (MTU {client_mtu}{}); run `ip link set dev {trunk} mtu {needed}`", if *needed > *client_mtu { ", and 4 for an 802.1ad tag" } else { "" })]
    Mtu {
        /// The trunk port.
        trunk: String,
        /// Its MTU in bytes.
        mtu: u32,
        /// The client port.
        client: String,
        /// The client port's MTU in bytes.
        client_mtu: u32,
        /// The least MTU in bytes that will do.
        needed: u32,
    },
    /// The kernel drops every frame that is redirected to it.
    #[error("port {port} takes no frames that XDP forwards to it: {}; or use `--xdp-mode generic`, which is slower", if *veth {
        "it is a veth, whose other end must have GRO switched on while both ends are up; run `ethtool -K PEER gro off` and then `ethtool -K PEER gro on` for that end"
    } else {
        "its driver cannot, or not as it is set up"
    })]
    TakesNoRedirects {
        /// The port.
        port: String,
        /// It is one end of a veth pair.
        veth: bool,
    },
    /// An offload feature is on, harmful, and cannot be turned off; or cannot be read.
    #[error(transparent)]
    Feature(#[from] EthtoolError),
    /// The interface could not be looked at.
    #[error(transparent)]
    Link(#[from] crate::net::link::LinkError),
}

/// Something that lets the switch run, but loses or slows down frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// No carrier.
    #[error("port {port} has no carrier; is its cable plugged in, its peer up?")]
    NoCarrier {
        /// The port.
        port: String,
    },
    /// A veth's peer takes no redirected frames (`veth_xdp_xmit`: no NAPI).
    #[error(
        "frames forwarded to port {port} are dropped, as its veth peer {peer} has GRO off and no XDP program; run `ethtool -K {peer} gro on`"
    )]
    PeerTakesNothing {
        /// The port.
        port: String,
        /// Its peer.
        peer: String,
    },
    /// A veth's peer has a smaller MTU (`veth_xdp_xmit` measures by the peer's).
    #[error(
        "the veth peer {peer} of port {port} has MTU {peer_mtu}, less than the port's {mtu}: longer frames forwarded to it are dropped; run `ip link set dev {peer} mtu {mtu}`"
    )]
    PeerMtu {
        /// The port.
        port: String,
        /// Its MTU in bytes.
        mtu: u32,
        /// Its peer.
        peer: String,
        /// The peer's MTU in bytes.
        peer_mtu: u32,
    },
    /// A veth's peer hands over tags beside the frame.
    #[error(
        "tags that a VLAN interface or bridge adds to frames on {peer}, the veth peer of trunk port {port}, are hidden from the switch; run `ethtool -K {peer} txvlan off`"
    )]
    PeerHidesTags {
        /// The port.
        port: String,
        /// Its peer.
        peer: String,
    },
    /// A veth's peer leaves checksums to a card that there is not.
    #[error(
        "TCP and UDP sent by this host on {peer}, the veth peer of port {port}, are forwarded without a checksum; run `ethtool -K {peer} tx off`"
    )]
    PeerChecksums {
        /// The port.
        port: String,
        /// Its peer.
        peer: String,
    },
}

fn instead(similar: &[String], available: &[String]) -> String {
    match (similar, available) {
        ([], []) => "there is no interface that could be a port".into(),
        ([], names) => format!("there are: {}", names.join(", ")),
        (names, _) => format!("did you mean {}?", names.join(" or ")),
    }
}

fn program(xdp: XdpAttached) -> String {
    match xdp.prog_id {
        0 => "several XDP programs".into(),
        id => format!("an XDP program (id {id})"),
    }
}

fn mode(xdp: XdpAttached) -> &'static str {
    use crate::net::link::XdpMode;
    match xdp.mode {
        XdpMode::Generic => "xdpgeneric",
        XdpMode::Offloaded => "xdpoffload",
        XdpMode::Native | XdpMode::Multiple | XdpMode::Unknown(_) => "xdp",
    }
}

/// The features of `link` that a port must have off, as they are now.
fn features_to_turn_off(link: &Link) -> Result<Vec<Feature>, EthtoolError> {
    let veth = link.is_veth();
    let mut features = ethtool::features(&link.name)?;
    features.retain(|feature| match feature.name.as_str() {
        "rx-vlan-hw-parse" | "rx-vlan-stag-hw-parse" | "rx-lro" | "rx-gro-hw" => true,
        // NETIF_F_ALL_TSO, and whatever of the kind a later kernel adds.
        name => veth && name.starts_with("tx-tcp") && name.ends_with("-segmentation"),
    });
    Ok(features)
}
