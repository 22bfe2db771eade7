//! The MACs of the nodes that learning packets are addressed to.

use std::net::IpAddr;

use switch_ebpf::frame::Address;

use super::destination::Destination;
use crate::types::MacAddress;

/// How often a node is asked again while it does not answer, in nanoseconds: quickly at first.
const RETRY_NS: [u64; 4] = [1_000_000_000, 2_000_000_000, 10_000_000_000, 30_000_000_000];
/// How long an answer holds, in nanoseconds. It is asked again before.
const FRESH_NS: u64 = 60_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The operator or the address itself says which.
    Given(MacAddress),
    /// It has to be asked for.
    Asked {
        /// What it answered, if it does.
        found: Option<MacAddress>,
        /// When it is asked next.
        next_ns: u64,
        /// How often it was asked since it last answered.
        attempts: usize,
    },
}

/// The destinations, and where they are.
#[derive(Debug)]
pub struct Neighbours {
    ways: Vec<(Destination, Way)>,
}

impl Neighbours {
    /// These destinations, of which those without a MAC are asked from now on.
    pub fn new(destinations: &[Destination]) -> Self {
        let way = |destination: &Destination| {
            let way = match destination.group_mac().or(destination.mac) {
                Some(mac) => Way::Given(mac),
                None => Way::Asked {
                    found: None,
                    next_ns: 0,
                    attempts: 0,
                },
            };
            (*destination, way)
        };
        Self {
            ways: destinations.iter().map(way).collect(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// Where a packet from this address has to go: the destinations of its family, each with its
    /// MAC. Whoever has not answered is reached by broadcast.
    pub fn of_family(&self, source: IpAddr) -> impl Iterator<Item = (IpAddr, MacAddress)> {
        let same = move |(destination, _): &&(Destination, Way)| destination.is_of_family(source);
        self.ways.iter().filter(same).map(|(destination, way)| {
            let mac = match way {
                Way::Given(mac) => *mac,
                Way::Asked { found, .. } => found.unwrap_or(MacAddress::BROADCAST),
            };
            (destination.address, mac)
        })
    }

    /// Whom to ask now: the address, and the MAC where it answered last.
    pub fn due(&mut self, now_ns: u64) -> Vec<(IpAddr, Option<MacAddress>)> {
        let mut due = Vec::new();
        for (destination, way) in &mut self.ways {
            if let Way::Asked {
                found,
                next_ns,
                attempts,
            } = way
                && now_ns >= *next_ns
            {
                if *attempts >= RETRY_NS.len() - 1 {
                    // It is not there any more.
                    *found = None;
                }
                let wait_ns = RETRY_NS[(*attempts).min(RETRY_NS.len() - 1)];
                (*next_ns, *attempts) = (now_ns + wait_ns, *attempts + 1);
                due.push((destination.address, *found));
            }
        }
        due
    }

    /// A station says that it has an address. Whether a destination's MAC is another now.
    pub fn answered(&mut self, mac: MacAddress, address: Address, now_ns: u64) -> bool {
        let mut news = false;
        for (destination, way) in &mut self.ways {
            if let Way::Asked { found, .. } = way
                && Address::from(destination.address) == address
            {
                news |= *found != Some(mac);
                *way = Way::Asked {
                    found: Some(mac),
                    next_ns: now_ns + FRESH_NS,
                    attempts: 0,
                };
            }
        }
        news
    }

    /// The way to the destinations may be another now: all are asked again at once.
    pub fn doubt(&mut self) {
        for (_, way) in &mut self.ways {
            if let Way::Asked {
                next_ns, attempts, ..
            } = way
            {
                (*next_ns, *attempts) = (0, 0);
            }
        }
    }

    /// When somebody is to be asked next.
    pub fn next_ns(&self) -> Option<u64> {
        let next = |(_, way): &(Destination, Way)| match way {
            Way::Given(_) => None,
            Way::Asked { next_ns, .. } => Some(*next_ns),
        };
        self.ways.iter().filter_map(next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const MAC: MacAddress = MacAddress([2; 6]);

    fn neighbours(texts: &[&str]) -> Neighbours {
        let destinations: Vec<Destination> = texts
            .iter()
            .map(|text| text.parse().expect("a destination"))
            .collect();
        Neighbours::new(&destinations)
    }

    fn macs(neighbours: &Neighbours, source: &str) -> Vec<String> {
        let source = source.parse().expect("an address");
        neighbours
            .of_family(source)
            .map(|(_, mac)| mac.to_string())
            .collect()
    }

    #[test]
    fn what_is_given_is_not_asked_for() {
        let mut neighbours = neighbours(&["10.0.0.1@02:00:00:00:00:01", "ff02::1"]);
        assert_eq!(neighbours.next_ns(), None);
        assert!(neighbours.due(S).is_empty());
        assert_eq!(macs(&neighbours, "10.0.0.5"), ["02:00:00:00:00:01"]);
        assert_eq!(macs(&neighbours, "fd00::5"), ["33:33:00:00:00:01"]);
        let v4_only = self::neighbours(&["10.0.0.1"]);
        assert!(macs(&v4_only, "fd00::5").is_empty());
    }

    #[test]
    fn who_answers_is_asked_again_before_it_is_forgotten() {
        let mut neighbours = neighbours(&["10.0.0.1"]);
        let address = Address::v4([10, 0, 0, 1]);
        let ip = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(macs(&neighbours, "10.0.0.5"), ["ff:ff:ff:ff:ff:ff"]);
        assert_eq!(neighbours.due(0), [(ip, None)]);
        assert_eq!(neighbours.due(S / 2), []);
        assert!(neighbours.answered(MAC, address, S));
        assert!(!neighbours.answered(MAC, address, S));
        assert!(!neighbours.answered(MAC, Address::v4([10, 0, 0, 2]), S));
        assert_eq!(neighbours.next_ns(), Some(61 * S));
        assert_eq!(neighbours.due(61 * S), [(ip, Some(MAC))]);
        // It keeps its MAC while it may just have missed a question.
        assert_eq!(neighbours.due(62 * S), [(ip, Some(MAC))]);
        assert_eq!(neighbours.due(64 * S), [(ip, Some(MAC))]);
        assert_eq!(macs(&neighbours, "10.0.0.5"), [MAC.to_string()]);
        assert_eq!(neighbours.due(74 * S), [(ip, None)]);
        assert_eq!(macs(&neighbours, "10.0.0.5"), ["ff:ff:ff:ff:ff:ff"]);
        assert_eq!(neighbours.next_ns(), Some(104 * S));
        neighbours.doubt();
        assert_eq!(neighbours.due(75 * S), [(ip, None)]);
    }
}
