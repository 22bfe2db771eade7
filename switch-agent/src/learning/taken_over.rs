//! What the datapath has learned by itself, taken over into events and bookkeeping.

use std::collections::HashMap;

use switch_ebpf::{
    abi::{BindingKey, MissHeader, STATE_QUARANTINED},
    frame::{Evidence, Frame, Origin},
};

use super::{LearnError, decide::Claim, learner::Learner};
use crate::api::EventKind;

/// The last record of each binding, so that two CPUs that saw the same move make one event.
#[derive(Debug, Default)]
pub struct Records {
    last: HashMap<u32, (u32, u32, u64)>,
}

impl Records {
    /// Whether a record says something new: another move than the last one of its slot, or the same
    /// after the hold-down, when it can happen again.
    fn is_news(&mut self, slot: u32, from: u32, to: u32, time_ns: u64, hold_down_ns: u64) -> bool {
        let same = self.last.get(&slot).is_some_and(|(f, t, at)| {
            (*f, *t) == (from, to) && time_ns.saturating_sub(*at) < hold_down_ns
        });
        self.last.insert(slot, (from, to, time_ns));
        !same
    }
}

impl Learner {
    /// A frame by which the datapath has moved or quarantined its address. It has left already.
    pub(super) fn take_over(
        &mut self,
        header: &MissHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), LearnError> {
        let Ok(packet) = frame.packet(bytes, bytes.len()) else {
            return Ok(());
        };
        let Ok(Origin::Vm(address, _)) = frame.origin(&packet) else {
            return Ok(());
        };
        let (from, to) = (
            u32::try_from(header.number).unwrap_or(u32::MAX),
            header.site,
        );
        let hold_down_ns = self.policy.hold_down_data_ns;
        if !self
            .records
            .is_news(header.slot, from, to, header.time_ns, hold_down_ns)
        {
            return Ok(());
        }
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
        let binding = self.flows.get(&key)?;
        let held = binding.is_some_and(|binding| {
            binding.state == STATE_QUARANTINED && binding.site != header.site
        });
        if let (Some(binding), true) = (binding, held) {
            self.quarantines.add(&binding, self.policy.quarantine_ns);
        } else {
            let old_mac = self.flows.mac_of(header.slot);
            self.flows
                .moved_by_datapath(header, &key, from, frame.source);
            self.question(&claim, from, old_mac)?;
        }
        let kind = if held {
            EventKind::Quarantined
        } else {
            EventKind::Moved
        };
        let evidence = Some(Evidence::Data.into());
        self.tell(kind, address, evidence, (Some(from), Some(to)), |event| {
            event.reason = Some("learned in the datapath".to_owned());
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_move_is_news_once() {
        let mut records = Records::default();
        let mut is_news = |from, to, time_ns| records.is_news(7, from, to, time_ns, 50);
        assert!(is_news(1, 2, 100));
        assert!(!is_news(1, 2, 101), "another CPU saw it too");
        assert!(is_news(2, 1, 160));
        assert!(is_news(1, 2, 170));
        assert!(is_news(1, 2, 300), "it was moved back by hand meanwhile");
    }
}
