//! What the datapath has learned by itself, taken over into events and bookkeeping.

use switch_ebpf::{
    abi::{BindingKey, KIND_HELD, MissHeader, STATE_QUARANTINED},
    frame::{Evidence, Frame},
};

use super::{
    LearnError,
    decide::{Claim, speaker},
    learner::Learner,
};
use crate::api::EventKind;

impl Learner {
    /// A frame by which the datapath has moved or quarantined its address. There is one for each, and
    /// it has left or was dropped already.
    pub(super) fn take_over(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), LearnError> {
        let Some((address, _)) = speaker(bytes, frame) else {
            return Ok(());
        };
        let (from, to) = (
            u32::try_from(header.number).unwrap_or(u32::MAX),
            header.site,
        );
        let key = BindingKey {
            network: header.network,
            address,
        };
        let claim = Claim {
            key,
            site: to,
            evidence: Evidence::Data,
            mac: frame.source,
            time_ns: header.time_ns,
            signed: false,
            frame: bytes,
        };
        self.heard.note(&claim);
        // The datapath has closed it.
        self.flows.tables.reopen_shortcut(&key)?;
        let kind = if header.kind == KIND_HELD {
            // The operator may have released it, or it may have ended.
            let binding = self.flows.get(&key)?;
            if let Some(held) = binding.filter(|binding| binding.state == STATE_QUARANTINED) {
                self.quarantines.add(&held, self.policy.quarantine_ns);
            }
            EventKind::Quarantined
        } else {
            let old_mac = self.flows.mac_of(header.slot);
            self.flows
                .moved_by_datapath(header, &key, from, frame.source);
            self.question(&claim, from, old_mac)?;
            EventKind::Moved
        };
        let evidence = Some(Evidence::Data.into());
        self.tell(kind, address, evidence, (Some(from), Some(to)), |event| {
            event.reason = Some("learned in the datapath".to_owned());
        });
        Ok(())
    }
}
