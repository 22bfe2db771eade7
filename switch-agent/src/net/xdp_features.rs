//! What a device's driver can do for XDP, as the kernel says it (generic netlink family `netdev`,
//! Linux 6.3 and later; `Documentation/netlink/specs/netdev.yaml`).

use std::io;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_ACK, Nla, NlasIterator, ParseableParametrized,
};
use netlink_packet_generic::{
    GenlFamily, GenlHeader, GenlMessage,
    ctrl::{GenlCtrl, GenlCtrlCmd, nlas::GenlCtrlAttrs},
};
use rtnetlink::sys::protocols::NETLINK_GENERIC;

use super::{link::LinkError, netlink::ask};

const DEV_GET: u8 = 1; // NETDEV_CMD_DEV_GET
const IFINDEX: u16 = 1; // NETDEV_A_DEV_IFINDEX
const XDP_FEATURES: u16 = 3; // NETDEV_A_DEV_XDP_FEATURES
/// NETDEV_XDP_ACT_NDO_XMIT
const NDO_XMIT: u64 = 1 << 2;

/// A `netdev` message: its attributes as they are.
#[derive(Clone, Debug)]
struct Netdev(Vec<DefaultNla>);

impl GenlFamily for Netdev {
    fn family_name() -> &'static str {
        "netdev"
    }

    fn command(&self) -> u8 {
        DEV_GET
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Netdev {
    fn buffer_len(&self) -> usize {
        self.0.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.0.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Netdev {
    fn parse_with_param(buffer: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        let attributes = NlasIterator::new(buffer);
        let read = attributes.map(|attribute| {
            let attribute = attribute?;
            Ok(DefaultNla::new(
                attribute.kind(),
                attribute.value().to_vec(),
            ))
        });
        Ok(Self(read.collect::<Result<_, DecodeError>>()?))
    }
}

/// Whether the kernel takes frames redirected to a device (`NETDEV_XDP_ACT_NDO_XMIT`, which
/// `__xdp_enqueue` in `kernel/bpf/devmap.c` asks for). Nothing where the kernel is too old to say:
/// then it does not ask either.
///
/// # Errors
/// What netlink answers.
pub fn takes_redirects(ifindex: u32, name: &str) -> Result<Option<bool>, LinkError> {
    let error = |source| LinkError::Netlink {
        what: format!("ask what the driver of {name} can do for XDP"),
        source,
    };
    let Some(family) = family().map_err(error)? else {
        return Ok(None);
    };
    let index = DefaultNla::new(IFINDEX, ifindex.to_ne_bytes().to_vec());
    let mut request = GenlMessage::from_payload(Netdev(vec![index]));
    request.set_resolved_family_id(family);
    let mut features = None;
    ask(NETLINK_GENERIC, request, NLM_F_ACK, |answer| {
        let (_, Netdev(attributes)) = answer.into_parts();
        features = attributes.iter().find_map(features_of);
    })
    .map_err(error)?;
    Ok(features.map(|features| features & NDO_XMIT != 0))
}

/// Whether the kernel says at all what drivers can do.
///
/// # Errors
/// What netlink answers.
pub fn are_told() -> io::Result<bool> {
    Ok(family()?.is_some())
}

fn features_of(attribute: &DefaultNla) -> Option<u64> {
    if attribute.kind() != XDP_FEATURES {
        return None;
    }
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    Some(u64::from_ne_bytes(value.try_into().ok()?))
}

/// The number that the kernel has given the family; nothing where it has no such family.
fn family() -> io::Result<Option<u16>> {
    let name = Netdev::family_name().to_owned();
    let request = GenlMessage::from_payload(GenlCtrl {
        cmd: GenlCtrlCmd::GetFamily,
        nlas: vec![GenlCtrlAttrs::FamilyName(name)],
    });
    let mut id = None;
    let asked = ask(NETLINK_GENERIC, request, NLM_F_ACK, |answer| {
        id = answer.payload.nlas.iter().find_map(|nla| match nla {
            GenlCtrlAttrs::FamilyId(id) => Some(*id),
            _ => None,
        });
    });
    match asked {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        asked => asked.map(|()| id),
    }
}

#[cfg(test)]
mod tests {
    use super::takes_redirects;
    use crate::net::{
        ethtool::set_features,
        link,
        testing::{in_new_netns, ip},
    };

    #[test]
    fn a_veth_takes_redirects_once_its_peer_has_gro() {
        in_new_netns(|| {
            ip("link add c0 type veth peer name p0");
            ip("link set c0 up");
            ip("link set p0 up");
            let c0 = link::by_name("c0").expect("c0");
            let takes = || takes_redirects(c0.index, "c0").expect("an answer");
            if takes().is_none() {
                return; // The kernel is too old to say, which is an answer.
            }
            assert_eq!(takes(), Some(false));
            set_features("p0", &[("rx-gro", true)]).expect("GRO");
            assert_eq!(takes(), Some(true));
            ip("link del c0");
            let gone = takes_redirects(c0.index, "c0").expect_err("gone");
            assert!(gone.is_gone(), "{gone}");
        });
    }
}
