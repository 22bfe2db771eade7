//! One binding, shown as the two flow rules that it makes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use switch_ebpf::abi::{STATE_QUARANTINED, STATE_STATIC};

use crate::{
    config::{ClientPort, Site},
    types::{MacAddress, NetworkName, PortName, SiteName, Tpid, Vid, VmAddress},
};

/// An address's place, and both of its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Where the address is unique.
    pub network: NetworkName,
    /// The virtual machine's address.
    pub address: VmAddress,
    /// Where it is.
    pub site: SiteName,
    /// How it came there.
    pub state: FlowState,
    /// Where it was before its last move.
    pub previous_site: Option<SiteName>,
    /// The Ethernet address it was last seen with.
    pub mac: Option<MacAddress>,
    /// From the client to the virtual machine.
    pub uplink: Rule,
    /// From the virtual machine to the client.
    pub downlink: Rule,
}

/// How a binding is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowState {
    /// It follows what is heard.
    Learned,
    /// An operator keeps it there.
    Static,
    /// It moved too often and is held where it is.
    Quarantined,
}

/// From a [`Binding::state`](switch_ebpf::abi::Binding::state).
impl From<u8> for FlowState {
    fn from(state: u8) -> Self {
        match state {
            STATE_STATIC => Self::Static,
            STATE_QUARANTINED => Self::Quarantined,
            _ => Self::Learned,
        }
    }
}

impl FlowState {
    /// The word in tables and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Static => "static",
            Self::Quarantined => "quarantined",
        }
    }
}

/// A rule of the flow table and what it carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which frames.
    #[serde(rename = "match")]
    pub matches: Match,
    /// What is done with them.
    pub instruction: Instruction,
    /// How many there were.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// How much went through a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Which frames a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The port they come in by.
    pub in_port: PortName,
    /// Their VLAN; none: untagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vid>,
    /// The kind of tag, where it is not 802.1Q.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpid: Option<Tpid>,
    /// The virtual machine's address in them.
    #[serde(flatten)]
    pub end: End,
}

/// Which end of a frame has the virtual machine's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The destination: towards the virtual machine.
    Dst(VmAddress),
    /// The source: from it.
    Src(VmAddress),
}

/// What a rule does with a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The VLAN it gets; none: it goes untagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vid>,
    /// The kind of tag, where it is not 802.1Q.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpid: Option<Tpid>,
    /// The port it goes out of.
    pub output: PortName,
}

/// The JSON names a kind of tag only where it is not the usual one.
fn tag(vlan: Option<(Vid, Tpid)>) -> (Option<Vid>, Option<Tpid>) {
    let unusual = |tpid: &Tpid| *tpid != Tpid::default();
    (
        vlan.map(|(vid, _)| vid),
        vlan.map(|(_, tpid)| tpid).filter(unusual),
    )
}

impl Match {
    fn new(port: &PortName, vlan: Option<(Vid, Tpid)>, end: End) -> Self {
        let (vlan, tpid) = tag(vlan);
        Self {
            in_port: port.clone(),
            vlan,
            tpid,
            end,
        }
    }
}

impl Instruction {
    fn new(port: &PortName, vlan: Option<(Vid, Tpid)>) -> Self {
        let (vlan, tpid) = tag(vlan);
        Self {
            vlan,
            tpid,
            output: port.clone(),
        }
    }
}

impl Rule {
    /// From the client to an address at a site.
    pub fn uplink(client: &ClientPort, site: &Site, address: VmAddress, traffic: Traffic) -> Self {
        Self {
            matches: Match::new(&client.port, client.vlan, End::Dst(address)),
            instruction: Instruction::new(&site.port, Some((site.vid, site.tpid))),
            traffic,
        }
    }

    /// From an address at a site to the client.
    pub fn downlink(
        client: &ClientPort,
        site: &Site,
        address: VmAddress,
        traffic: Traffic,
    ) -> Self {
        Self {
            matches: Match::new(&site.port, Some((site.vid, site.tpid)), End::Src(address)),
            instruction: Instruction::new(&client.port, client.vlan),
            traffic,
        }
    }
}

impl End {
    /// "src" or "dst".
    pub fn field(self) -> &'static str {
        match self {
            Self::Dst(_) => "dst",
            Self::Src(_) => "src",
        }
    }

    /// The address at that end.
    pub fn address(self) -> IpAddr {
        match self {
            Self::Dst(address) | Self::Src(address) => address.get(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A binding of 10.0.0.5 to dc1 as the design draws it.
    pub(crate) fn flow(client: &str, site: &str) -> Flow {
        let client: ClientPort = client.parse().expect("a client");
        let site: Site = site.parse().expect("a site");
        let address: VmAddress = "10.0.0.5".parse().expect("an address");
        Flow {
            network: NetworkName::default(),
            address,
            site: site.name.clone(),
            state: FlowState::Learned,
            previous_site: None,
            mac: Some(MacAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56])),
            uplink: Rule::uplink(&client, &site, address, Traffic::default()),
            downlink: Rule::downlink(&client, &site, address, Traffic::default()),
        }
    }

    #[test]
    fn json_is_the_designs() {
        let json = serde_json::to_string(&flow("c0", "dc1=t0:1")).expect("JSON");
        assert_eq!(
            json,
            concat!(
                r#"{"network":"default","address":"10.0.0.5","site":"dc1","state":"learned","previous_site":null,"mac":"52:54:00:12:34:56","#,
                r#""uplink":{"match":{"in_port":"c0","dst":"10.0.0.5"},"instruction":{"vlan":1,"output":"t0"},"packets":0,"bytes":0},"#,
                r#""downlink":{"match":{"in_port":"t0","vlan":1,"src":"10.0.0.5"},"instruction":{"output":"c0"},"packets":0,"bytes":0}}"#
            )
        );
    }

    #[test]
    fn json_reads_back() {
        for flow in [
            flow("c0", "dc1=t0:1"),
            flow("c0:7/802.1ad", "dc1=t0:1/802.1ad"),
        ] {
            let json = serde_json::to_string(&flow).expect("JSON");
            assert_eq!(serde_json::from_str::<Flow>(&json).expect("a flow"), flow);
        }
    }

    #[test]
    fn a_service_tag_is_named() {
        let json = serde_json::to_string(&flow("c0:7", "dc1=t0:1/802.1ad").uplink).expect("JSON");
        assert_eq!(
            json,
            r#"{"match":{"in_port":"c0","vlan":7,"dst":"10.0.0.5"},"instruction":{"vlan":1,"tpid":"802.1ad","output":"t0"},"packets":0,"bytes":0}"#
        );
    }
}
