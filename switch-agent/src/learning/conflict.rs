//! An address that lives in two places: asking the old one after a move, and what is done about an
//! answer.

use switch_ebpf::{
    abi::{Binding, BindingKey, MissHeader, STATE_LEARNED, agent},
    frame::{Frame, Kind},
    rule,
};

use super::{
    LearnError,
    confirm::Question,
    decide::Claim,
    learner::{Learner, now_ns},
};
use crate::{
    api::EventKind,
    config::{Confirm, OnConflict},
    frames,
    types::MacAddress,
};

impl Learner {
    /// An address has moved by a claim, from a site at which it had a MAC (zero: nobody heard it
    /// there). Asks there whether it still answers, unless the claim needs no confirmation.
    pub(super) fn question(
        &mut self,
        claim: &Claim<'_>,
        old_site: u32,
        old_mac: [u8; 6],
    ) -> Result<(), LearnError> {
        self.questions.close(&claim.key);
        if self.confirm == Confirm::Off || claim.signed {
            return Ok(());
        }
        let question = Question {
            key: claim.key,
            old_site,
            new_site: claim.site,
            old_mac: if old_mac == [0; 6] {
                claim.mac
            } else {
                old_mac
            },
            mac: claim.mac,
        };
        let now_ns = now_ns()?;
        if self.questions.ask(question, now_ns) {
            self.ask(now_ns);
        } else {
            self.flows.tables.add_agent(agent::UNCONFIRMED, 1)?;
        }
        Ok(())
    }

    /// Puts the questions that are due in line for the sites that they are for.
    pub(super) fn ask(&mut self, now_ns: u64) {
        for due in self.questions.due(now_ns) {
            let Some(leg) = self
                .topology
                .site_by_id(due.old_site)
                .map(|entry| entry.leg)
            else {
                continue;
            };
            let Some(port) = self
                .topology
                .ports
                .iter()
                .find(|port| port.index == leg.port)
            else {
                continue;
            };
            // From nobody: the switch has no address there, and must not make itself known by one.
            let from = MacAddress(port.link.mac);
            let to = Some(MacAddress(due.old_mac));
            let bytes = frames::question(from, due.key.address.into(), to, true);
            if let Some(bytes) = bytes {
                self.outbox.push_question(&bytes, &leg);
            }
        }
    }

    /// An answer to a port's own MAC. It teaches nothing; the host has it as well.
    pub(super) fn answered(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), LearnError> {
        let Ok(packet) = frame.packet(bytes, bytes.len()) else {
            return Ok(());
        };
        if !matches!(packet.kind, Kind::Arp | Kind::Advertisement) {
            return Ok(());
        }
        let key = BindingKey {
            network: header.network,
            address: packet.speaker,
        };
        let answered = self.questions.answered(&key, header.site, header.time_ns);
        let (Some(question), Some(binding)) = (answered, self.flows.get(&key)?) else {
            return Ok(());
        };
        if binding.site != question.new_site {
            return Ok(());
        }
        self.conflict(&question, &binding, frame.source)
    }

    /// An address has moved, and `old_mac` still answers for it at its old site.
    fn conflict(
        &mut self,
        question: &Question,
        binding: &Binding,
        old_mac: [u8; 6],
    ) -> Result<(), LearnError> {
        self.flows.tables.add_agent(agent::CONFLICTS, 1)?;
        // One that was quarantined meanwhile is held already.
        let what = match binding.state {
            STATE_LEARNED => self.on_conflict,
            _ => OnConflict::Alarm,
        };
        let (key, now_ns) = (&question.key, now_ns()?);
        let (old, new) = (Some(question.old_site), Some(question.new_site));
        let done = match what {
            OnConflict::Alarm => None,
            OnConflict::RollBack => {
                // No evidence moves it, so that it does not count towards the quarantine. The move
                // that is undone has counted: whoever goes on claiming the address is stopped by that.
                let back = Binding {
                    mac: old_mac,
                    ..rule::moved_by_operator(binding, question.old_site, now_ns)
                };
                self.flows.relocate(key, back, now_ns)?;
                self.pardon(key)?;
                Some(EventKind::Moved)
            }
            OnConflict::Quarantine => {
                let held = rule::quarantined(binding, now_ns);
                self.flows.replace(key, &held)?;
                self.quarantines.add(&held, self.policy.quarantine_ns);
                Some(EventKind::Quarantined)
            }
        };
        let kind = EventKind::Duplicate;
        self.tell(kind, key.address, None, (old, new), |event| {
            event.reason = Some(what.as_str().to_owned());
            event.mac = Some(MacAddress(question.mac));
            event.old_mac = Some(MacAddress(old_mac));
        });
        if let Some(kind) = done {
            self.tell(kind, key.address, None, (new, old), |event| {
                event.reason = Some("it answers at both sites".to_owned());
            });
        }
        Ok(())
    }
}
