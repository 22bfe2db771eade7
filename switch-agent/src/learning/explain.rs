//! What the learner knows of an address, and what it would do with evidence for it now.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use switch_ebpf::{
    abi::{Binding, BindingKey},
    frame::Evidence,
    rule::{self, Verdict},
};

use super::{
    LearnError,
    frame_text::frame_text,
    heard::Sighting,
    learner::{Learner, now_ns},
};
use crate::{
    api::{Asking, Bound, Explanation, FlowState, Prospect, Seen, SiteView},
    datapath::SiteEntry,
    types::{MacAddress, SiteName, VmAddress},
};

impl Learner {
    /// Explains an address, bound or not.
    pub(super) fn explain(&self, address: VmAddress) -> Result<Explanation, LearnError> {
        let key = self.key(address);
        let now_ns = now_ns()?;
        let binding = self.flows.get(&key)?;
        let sites = self.topology.sites.iter();
        let last = sites
            .clone()
            .filter_map(|entry| Some((entry, self.heard.at(entry.id, &key)?)))
            .max_by_key(|(_, sighting)| sighting.time_ns);
        let asking = self.questions.tries(&key);
        Ok(Explanation {
            network: self.network.clone(),
            address,
            binding: match &binding {
                Some(binding) => self.describe(binding, now_ns)?,
                None => None,
            },
            evidence: last.map(|(entry, sighting)| seen(entry, sighting, now_ns)),
            asking: asking.and_then(|(site, tries)| {
                let site = self.site_name(site)?;
                Some(Asking { site, tries })
            }),
            sites: sites
                .map(|entry| self.site_view(entry, &key, binding.as_ref(), now_ns))
                .collect(),
        })
    }

    fn site_name(&self, id: u32) -> Option<SiteName> {
        let entry = self.topology.site_by_id(id)?;
        Some(entry.site.name.clone())
    }

    fn describe(&self, binding: &Binding, now_ns: u64) -> Result<Option<Bound>, LearnError> {
        let ms = |then_ns: u64| now_ns.saturating_sub(then_ns) / 1_000_000;
        let seen_ns = self.flows.last_seen_ns(binding.slot)?;
        Ok(self.site_name(binding.site).map(|site| Bound {
            site,
            state: FlowState::from(binding.state),
            previous_site: self.site_name(binding.previous_site),
            mac: (binding.mac != [0; 6]).then_some(MacAddress(binding.mac)),
            created_ms: ms(binding.created_at_ns),
            moved_ms: (binding.moved_at_ns != 0).then(|| ms(binding.moved_at_ns)),
            seen_ms: seen_ns.map(ms),
            moves_in_window: rule::moves_in_window(binding, &self.policy, now_ns),
        }))
    }

    fn site_view(
        &self,
        entry: &SiteEntry,
        key: &BindingKey,
        binding: Option<&Binding>,
        now_ns: u64,
    ) -> SiteView {
        let refused = self.heard.at(entry.id, key).map(|sighting| {
            let counts = sighting.refused.iter();
            counts.map(|(why, count)| (why.name().to_owned(), *count))
        });
        // With the MAC that it is bound for: another one is asked for by `pin_mac` only.
        let mac = binding.map_or([0; 6], |binding| binding.mac);
        let prospect = |evidence| {
            let claim = self.claim_of_rule(entry.id, key, evidence, mac);
            prospect(self.judge(binding, &claim, now_ns))
        };
        SiteView {
            site: entry.site.name.clone(),
            refused: refused.map_or_else(BTreeMap::new, Iterator::collect),
            data: prospect(Evidence::Data),
            announce: prospect(Evidence::Announce),
        }
    }
}

fn seen(entry: &SiteEntry, sighting: &Sighting, now_ns: u64) -> Seen {
    let ago = Duration::from_nanos(now_ns.saturating_sub(sighting.time_ns));
    Seen {
        time: SystemTime::now() - ago,
        site: entry.site.name.clone(),
        evidence: sighting.evidence.into(),
        frame: frame_text(&sighting.header, sighting.length),
    }
}

fn prospect(verdict: Verdict) -> Prospect {
    let (verdict, reason) = match verdict {
        Verdict::Create => ("create", None),
        Verdict::Refresh => ("refresh", None),
        Verdict::Move => ("move", None),
        Verdict::Late => ("late", None),
        Verdict::Quarantine => ("quarantine", None),
        Verdict::Refuse(why) => ("refuse", Some(why.name().to_owned())),
    };
    Prospect {
        verdict: verdict.to_owned(),
        reason,
    }
}
