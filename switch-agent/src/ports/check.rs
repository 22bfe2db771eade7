//! Looking at an interface that is to be a port, without changing anything.

use super::{Port, PortRole, Problem, Warning, features_to_turn_off};
use crate::net::{
    ethtool::{self, EthtoolError, Feature},
    link::{self, Link, LinkError},
    xdp_features,
};

/// Bytes of a tag (VLAN_HLEN).
const TAG: u32 = 4;

/// What is wrong with a port.
#[derive(Debug, Default)]
pub struct Report {
    /// What stops the switch.
    pub problems: Vec<Problem>,
    /// What loses or slows down frames.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Nothing stops the switch.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Looks at everything that would stop `port` from being one, or slow it down. An XDP program that
/// is already attached is a problem unless its id is among `own_programs`.
#[must_use]
pub fn check(port: &Port, own_programs: &[u32]) -> Report {
    inspect(port, own_programs).1
}

/// What stops XDP from forwarding frames to a port, if anything does. Many drivers can only say once
/// a program is attached.
///
/// # Errors
/// What netlink answers.
pub fn takes_redirects(link: &Link) -> Result<Option<Problem>, LinkError> {
    let takes = xdp_features::takes_redirects(link.index, &link.name)?;
    Ok((takes == Some(false)).then(|| Problem::TakesNoRedirects {
        port: link.name.clone(),
        veth: link.is_veth(),
    }))
}

/// [`check`], with the link it looked at if there is one.
pub(super) fn inspect(port: &Port, own_programs: &[u32]) -> (Option<Link>, Report) {
    let mut report = Report::default();
    let link = match link::by_name(&port.name) {
        Ok(link) => link,
        Err(e) => {
            report.problems.push(missing(&port.name, e));
            return (None, report);
        }
    };
    nature(&link, &port.role, own_programs, &mut report);
    match features_to_turn_off(&link) {
        Ok(features) => report.problems.extend(
            features
                .into_iter()
                .filter(|feature| feature.fixed() && feature.active)
                .map(|feature| {
                    Problem::Feature(EthtoolError::Fixed {
                        device: link.name.clone(),
                        feature: feature.name,
                        on: false,
                    })
                }),
        ),
        Err(e) => report.problems.push(e.into()),
    }
    if let PortRole::Trunk {
        clients,
        service_tag,
    } = &port.role
    {
        mtu(&link, clients, *service_tag, &mut report);
    }
    if link.up && !link.carrier {
        report.warnings.push(Warning::NoCarrier {
            port: link.name.clone(),
        });
    }
    if link.virtio_headers && port.role != PortRole::Listener {
        report.warnings.push(tap(&link));
    }
    // None when the peer is in another namespace: then nothing can be said about it.
    if port.role != PortRole::Listener
        && link.is_veth()
        && let Some(peer) = link.tied_to.and_then(|index| link::by_index(index).ok())
    {
        let trunk = matches!(port.role, PortRole::Trunk { .. });
        veth_peer(&link, &peer, trunk, &mut report);
    }
    (Some(link), report)
}

/// What kind of interface it is and who else uses it.
fn nature(link: &Link, role: &PortRole, own_programs: &[u32], report: &mut Report) {
    let port = link.name.clone();
    if link.loopback {
        report.problems.push(Problem::Loopback { port });
        return;
    }
    if !link.ethernet {
        report.problems.push(Problem::NotEthernet { port });
        return;
    }
    if let Some(master) = link.master
        && *role != PortRole::Listener
    {
        report.problems.push(Problem::Member {
            port: port.clone(),
            // The master may be in another namespace.
            master: link::by_index(master).map_or(format!("#{master}"), |l| l.name),
        });
    }
    match link.xdp {
        Some(xdp) if !own_programs.contains(&xdp.prog_id) => {
            report.problems.push(Problem::ForeignXdp { port, xdp });
        }
        _ => {}
    }
}

/// Whether the trunk lets the clients' longest frames through with their tag.
///
/// The same MTU is enough for an 802.1Q tag: an XDP redirect may be 4 bytes longer than MTU and
/// header (`xdp_ok_fwd_dev` in `linux/filter.h`), and so may a frame that the agent sends. With 802.1ad
/// the agent's may not, see [`crate::net::packet`]. A client whose own full-size frames carry a tag
/// *inside* needs 4 more still, which nobody can see from here.
fn mtu(trunk: &Link, clients: &[String], service_tag: bool, report: &mut Report) {
    for name in clients {
        // A client port that is missing is told by its own check.
        let Ok(client) = link::by_name(name) else {
            continue;
        };
        let needed = client.mtu.saturating_add(if service_tag { TAG } else { 0 });
        if trunk.mtu < needed {
            report.problems.push(Problem::Mtu {
                trunk: trunk.name.clone(),
                mtu: trunk.mtu,
                client: client.name,
                client_mtu: client.mtu,
                needed,
            });
        }
    }
}

/// A tap whose frames have headers in which checksums can be left to it.
///
/// What the guest's driver has switched on shows here in one direction: what it takes from the host is what
/// the tap has on (TUNSETOFFLOAD). What it gives is in the frames' headers only.
fn tap(link: &Link) -> Warning {
    let features = ethtool::features(&link.name).unwrap_or_default();
    let is_on = |feature: &Feature| feature.name == "tx-checksum-ip-generic" && feature.active;
    Warning::TapOffloads {
        port: link.name.clone(),
        active: features.iter().any(is_on),
    }
}

/// What the other end of a veth pair does to frames.
fn veth_peer(link: &Link, peer: &Link, trunk: bool, report: &mut Report) {
    let port = || link.name.clone();
    let peer_name = || peer.name.clone();
    if peer.mtu < link.mtu {
        report.warnings.push(Warning::PeerMtu {
            port: port(),
            mtu: link.mtu,
            peer: peer_name(),
            peer_mtu: peer.mtu,
        });
    }
    // Only advice depends on these, so not being able to read them is no problem.
    let features = ethtool::features(&peer.name).unwrap_or_default();
    let active = |name: &str| features.iter().any(|f| f.name == name && f.active);
    if !active("rx-gro") && peer.xdp.is_none() {
        report.warnings.push(Warning::PeerTakesNothing {
            port: port(),
            peer: peer_name(),
        });
    }
    if trunk && active("tx-vlan-hw-insert") {
        report.warnings.push(Warning::PeerHidesTags {
            port: port(),
            peer: peer_name(),
        });
    }
    if active("tx-checksum-ip-generic") {
        report.warnings.push(Warning::PeerChecksums {
            port: port(),
            peer: peer_name(),
        });
    }
}

/// A missing port's problem, with the names that could have been meant.
fn missing(port: &str, error: LinkError) -> Problem {
    if !error.is_gone() {
        return error.into();
    }
    let links = link::list().unwrap_or_default();
    let available: Vec<String> = links
        .into_iter()
        .filter(|link| !link.loopback && link.ethernet)
        .map(|link| link.name)
        .collect();
    let similar = available.iter().filter(|name| distance(name, port) <= 1);
    Problem::Missing {
        port: port.into(),
        similar: similar.cloned().collect(),
        available: available.clone(),
    }
}

/// How many bytes must be added, taken away or replaced to make one name of the other
/// (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("eth0", "eth0", 0),
            ("eth0", "eth1", 1),
            ("c0", "", 2),
            ("et0", "eth0", 1),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(a, b), d, "{a} {b}");
            assert_eq!(distance(b, a), d, "{b} {a}");
        }
    }
}
