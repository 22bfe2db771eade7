//! Announcements that go no further than the switch: RARP, and the gateways' learning packets.

use std::net::IpAddr;

use switch_ebpf::{
    abi::{BindingKey, MAX_GATEWAYS, MissHeader},
    frame::{Address, Evidence, Frame},
    learning_packet::{self, LearningPacket},
    rule::Refusal,
};

use super::{
    LearnError,
    decide::{Claim, Outcome},
    gateways::{Authenticity, hear},
    learner::Learner,
};
use crate::config::MoveTogether;

impl Learner {
    /// A RARP request names a MAC only: what is bound for it moves, each address by the rule.
    pub(super) fn rarp(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), LearnError> {
        if self.move_together == MoveTogether::Never {
            return Ok(());
        }
        let nobody = Address::UNSPECIFIED;
        self.learn_all_of(&claim(header, nobody, frame.source, bytes))
    }

    /// Learns that everything bound for a claim's MAC is where the claim says, as an announcement.
    pub(super) fn learn_all_of(&mut self, claim: &Claim<'_>) -> Result<(), LearnError> {
        for key in self.flows.of_mac(claim.mac) {
            if key.network == claim.key.network {
                self.learn(&Claim { key, ..*claim })?;
            }
        }
        Ok(())
    }

    /// A gateway's learning packet. It goes on to the client only where the operator wants that, as
    /// the client's node would answer it with an error.
    pub(super) fn learning_packet(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), LearnError> {
        let Ok(packet) = frame.packet(bytes, bytes.len()) else {
            return Ok(());
        };
        let Some(read) = learning_packet::read(bytes, frame) else {
            return Ok(());
        };
        let address = packet.speaker;
        let believed = match read {
            Ok(_) if !address.is_vm() => Err(Refusal::NotAnAddress),
            Ok(packet) => self.believe(header, &packet, address)?,
            Err(_) => Err(Refusal::Unreadable),
        };
        let mac = match (&believed, read) {
            (Ok(_), Ok(packet)) => packet.mac(),
            _ => frame.source,
        };
        let claim = Claim {
            signed: believed == Ok(Authenticity::Signed),
            ..claim(header, address, mac, bytes)
        };
        let outcome = match believed {
            Ok(_) => self.learn(&claim)?,
            Err(why) => self.refuse(&claim, why)?,
        };
        if outcome != Outcome::Refused {
            if self.move_together == MoveTogether::Always {
                self.learn_all_of(&claim)?;
            }
            if self.pass_learning_packets {
                self.deliver(header, bytes, frame, None);
            }
        }
        Ok(())
    }

    /// Whether a learning packet may be believed. What is signed counts once.
    fn believe(
        &mut self,
        header: &MissHeader,
        packet: &LearningPacket,
        address: Address,
    ) -> Result<Result<Authenticity, Refusal>, LearnError> {
        let (id, tables) = (packet.gateway(), &mut self.flows.tables);
        match self.trust.check(packet, &address) {
            Err(why) => return Ok(Err(why)),
            Ok(Authenticity::Unsigned) => return Ok(Ok(Authenticity::Unsigned)),
            Ok(Authenticity::Signed) => {}
        }
        let known = tables.gateway(id)?;
        if known.is_none() && tables.gateways()? >= MAX_GATEWAYS as usize {
            return Ok(Err(Refusal::TableFull));
        }
        Ok(
            match hear(known, header.site, packet.sequence(), header.time_ns) {
                Ok(gateway) => {
                    tables.set_gateway(id, &gateway)?;
                    Ok(Authenticity::Signed)
                }
                Err(why) => {
                    if why == Refusal::GatewayTwice {
                        let from = IpAddr::from(address);
                        tracing::warn!(
                            gateway = id,
                            %from,
                            "two gateways have the same id; give each its own --gateway-id"
                        );
                    }
                    Err(why)
                }
            },
        )
    }
}

/// What an announcement claims.
fn claim<'a>(header: &MissHeader, address: Address, mac: [u8; 6], frame: &'a [u8]) -> Claim<'a> {
    Claim {
        key: BindingKey {
            network: header.network,
            address,
        },
        site: header.site,
        evidence: Evidence::Announce,
        mac,
        time_ns: header.time_ns,
        signed: false,
        frame,
    }
}
