//! Applying the learning rule to evidence.

use std::net::IpAddr;

use switch_ebpf::{
    abi::{Binding, BindingKey, MissHeader, REFUSED_NS, SourceKey, agent},
    frame::{Address, Evidence, Frame, Origin},
    rule::{self, Policy, Refusal, Verdict},
};

use super::{
    LearnError,
    learner::{Learner, now_ns},
};
use crate::{
    api::{self, EventKind},
    config::{MoveTogether, Site},
    types::VmAddress,
};

/// Evidence as it reached the agent.
pub(super) struct Claim<'a> {
    /// Whose address.
    pub key: BindingKey,
    /// From which site.
    pub site: u32,
    /// Of which class.
    pub evidence: Evidence,
    /// The VM's MAC.
    pub mac: [u8; 6],
    /// When it came in, `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    /// Whether a gateway vouches for it.
    pub signed: bool,
    /// The frame that brought it.
    pub frame: &'a [u8],
}

impl Claim<'_> {
    /// Who speaks, as the datapath knows it.
    fn source(&self) -> SourceKey {
        SourceKey {
            site: self.site,
            address: self.key.address,
        }
    }
}

/// What becomes of the frame that brought the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is delivered, and counted for the binding in this slot.
    Bound(u32),
    /// It is delivered.
    Late,
    /// It is not.
    Refused,
}

impl Learner {
    /// A frame from a site that the datapath could not decide on.
    pub(super) fn decide(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), LearnError> {
        let Some((address, evidence)) = speaker(bytes, frame) else {
            return Ok(());
        };
        let claim = Claim {
            key: BindingKey {
                network: header.network,
                address,
            },
            site: header.site,
            evidence,
            mac: frame.source,
            time_ns: header.time_ns,
            signed: false,
            frame: bytes,
        };
        match self.learn(&claim)? {
            Outcome::Bound(slot) => {
                self.deliver(header, bytes, frame, Some(slot));
                if evidence == Evidence::Announce && self.move_together == MoveTogether::Always {
                    self.learn_all_of(&claim)?;
                }
            }
            Outcome::Late => {
                self.flows.tables.add_agent(agent::LATE, 1)?;
                self.deliver(header, bytes, frame, None);
            }
            // Where MACs are pinned, the next frame of the address may have the right one.
            Outcome::Refused if self.policy.pin_mac => {}
            Outcome::Refused => {
                // The datapath need not ask again at once.
                let until_ns = now_ns()?.saturating_add(REFUSED_NS);
                self.flows.tables.refuse(&claim.source(), until_ns)?;
            }
        }
        Ok(())
    }

    /// Does what the rule says of a claim.
    pub(super) fn learn(&mut self, claim: &Claim<'_>) -> Result<Outcome, LearnError> {
        self.heard.note(claim);
        let Claim { key, site, mac, .. } = *claim;
        let now_ns = now_ns()?;
        let binding = self.flows.get(&key)?;
        let judged = self.claim_of_rule(site, &key, claim.evidence, mac);
        let policy = self.policy;
        let verdict = match (self.judge(binding.as_ref(), &judged, now_ns), &binding) {
            // A newcomer's frame may have been overtaken by a learning packet, or by an operator.
            (Verdict::Move | Verdict::Quarantine, Some(binding))
                if claim.time_ns < self.flows.evidence_ns(binding) =>
            {
                Verdict::Late
            }
            (verdict, _) => verdict,
        };
        match (verdict, binding) {
            (Verdict::Create, _) => {
                let made = |slot| rule::created(site, slot, now_ns, mac);
                let Some(binding) = self.flows.create(&key, claim.time_ns, made)? else {
                    return self.refuse(claim, Refusal::TableFull);
                };
                self.tell_learned(EventKind::Created, claim, None, None)?;
                Ok(Outcome::Bound(binding.slot))
            }
            (Verdict::Move, Some(before)) => {
                let after = rule::moved(&before, &judged, &policy, now_ns);
                let last_ns = self.flows.last_seen_ns(before.slot)?;
                self.flows.relocate(&key, after, claim.time_ns)?;
                let gap_ns = last_ns.map(|last_ns| claim.time_ns.saturating_sub(last_ns));
                self.tell_learned(EventKind::Moved, claim, Some(before.site), gap_ns)?;
                self.question(claim, before.site, before.mac)?;
                Ok(Outcome::Bound(before.slot))
            }
            (Verdict::Refresh, Some(binding)) => Ok(Outcome::Bound(binding.slot)),
            (Verdict::Late, _) => Ok(Outcome::Late),
            (Verdict::Quarantine, Some(binding)) => {
                let held = rule::quarantined(&binding, now_ns);
                self.flows.replace(&key, &held)?;
                self.quarantines.add(&held, policy.quarantine_ns);
                let reason = format!(
                    "move {} within the window",
                    binding.window_moves.saturating_add(1)
                );
                let sites = (Some(binding.site), Some(site));
                self.tell(
                    EventKind::Quarantined,
                    key.address,
                    Some(claim.evidence.into()),
                    sites,
                    |event| event.reason = Some(reason),
                );
                self.refuse(claim, Refusal::Quarantined)
            }
            (Verdict::Refuse(why), _) => self.refuse(claim, why),
            // The rule says none of these without a binding.
            (Verdict::Move | Verdict::Refresh | Verdict::Quarantine, None) => Ok(Outcome::Refused),
        }
    }

    /// A claim as the rule knows it.
    pub(super) fn claim_of_rule(
        &self,
        site: u32,
        key: &BindingKey,
        evidence: Evidence,
        mac: [u8; 6],
    ) -> rule::Claim {
        let entry = self.topology.site_by_id(site);
        rule::Claim {
            site,
            evidence,
            mac,
            authorised: entry.is_some_and(|entry| allows(&entry.site, key.address)),
        }
    }

    /// What the rule says of a claim, with its site's policy and the room there is.
    pub(super) fn judge(
        &self,
        binding: Option<&Binding>,
        claim: &rule::Claim,
        now_ns: u64,
    ) -> Verdict {
        let at_site = self.topology.site_by_id(claim.site);
        let policy = Policy {
            learn: at_site
                .and_then(|entry| entry.site.learn)
                .map_or(self.policy.learn, Into::into),
            ..self.policy
        };
        match rule::judge(binding, claim, &policy, now_ns) {
            Verdict::Create if self.is_full(claim.site) => Verdict::Refuse(Refusal::SiteFull),
            Verdict::Create if !self.flows.has_room() => Verdict::Refuse(Refusal::TableFull),
            verdict => verdict,
        }
    }

    fn is_full(&self, site: u32) -> bool {
        self.max_flows_per_site
            .is_some_and(|most| self.flows.count_at(site) >= most)
    }

    /// Counts evidence that is not believed, and tells of it once in a while.
    pub(super) fn refuse(
        &mut self,
        claim: &Claim<'_>,
        why: Refusal,
    ) -> Result<Outcome, LearnError> {
        self.flows
            .tables
            .add_agent(agent::REFUSED + why as u32, 1)?;
        self.heard.refused(claim, why);
        let (address, site) = (claim.key.address, claim.site);
        if self.refusals.is_news(address, site, why, now_ns()?) {
            let sites = (None, Some(site));
            self.tell(
                EventKind::Refused,
                address,
                Some(claim.evidence.into()),
                sites,
                |event| event.reason = Some(why.name().to_owned()),
            );
        }
        Ok(Outcome::Refused)
    }

    fn tell_learned(
        &mut self,
        kind: EventKind,
        claim: &Claim<'_>,
        from: Option<u32>,
        gap_ns: Option<u64>,
    ) -> Result<(), LearnError> {
        let learn_us = now_ns()?.saturating_sub(claim.time_ns) / 1_000;
        self.tell(
            kind,
            claim.key.address,
            Some(claim.evidence.into()),
            (from, Some(claim.site)),
            |event| {
                event.learn_us = Some(learn_us);
                event.gap_ms = gap_ns.map(|ns| ns / 1_000_000);
            },
        );
        Ok(())
    }
}

/// The address that a frame speaks for, and how. The datapath has read it before, or the frame would
/// not be here.
pub(super) fn speaker(bytes: &[u8], frame: &Frame) -> Option<(Address, Evidence)> {
    let packet = frame.packet(bytes, bytes.len()).ok()?;
    match frame.origin(&packet).ok()? {
        Origin::Vm(address, evidence) => Some((address, evidence)),
        Origin::Nobody => None,
    }
}

/// Whether an address may be at a site.
pub(super) fn allows(site: &Site, address: Address) -> bool {
    VmAddress::try_from(IpAddr::from(address)).is_ok_and(|address| site.allows(address))
}

impl From<Evidence> for api::Evidence {
    fn from(evidence: Evidence) -> Self {
        match evidence {
            Evidence::Data => Self::Data,
            Evidence::Announce => Self::Announce,
        }
    }
}
