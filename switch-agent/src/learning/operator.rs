//! The operator's hand: what is done to a binding by order instead of by evidence.

use switch_ebpf::{
    abi::{
        Binding, BindingKey, PHASE_SETTLED, STATE_LEARNED, STATE_QUARANTINED, STATE_STATIC,
        SourceKey,
    },
    frame::Address,
    rule,
};

use super::{
    LearnError,
    decide::allows,
    learner::{Learner, now_ns},
};
use crate::{
    api::{EventKind, Evidence, Order},
    types::{SiteName, VmAddress},
};

/// Why an order was not carried out: the operator's mistake, or a failure of ours.
enum No {
    Refused(String),
    Failed(LearnError),
}

impl<E: Into<LearnError>> From<E> for No {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Learner {
    /// Carries out an order, and answers in a line for the operator.
    pub(super) fn obey(&mut self, order: Order) -> Result<(), String> {
        let (address, done) = match order {
            Order::Bind {
                address,
                site,
                pinned,
            } => (address, self.bind(address, &site, pinned)),
            Order::Move { address, site } => (address, self.move_to(address, &site)),
            Order::Unbind { address } => (address, self.unbind(address)),
            Order::Release { address } => (address, self.release(address)),
        };
        let key = self.key(address);
        let done = done.and_then(|()| {
            // The operator knows better than whoever answers.
            self.questions.close(&key);
            Ok(self.pardon(&key)?)
        });
        done.map_err(|no| match no {
            No::Refused(why) => why,
            No::Failed(error) => error.to_string(),
        })
    }

    /// A binding of a former run: its site may be gone, its handover may not be over.
    pub(super) fn adopt(&mut self, key: &BindingKey, binding: &Binding) -> Result<(), LearnError> {
        let gone = match self.topology.site_by_id(binding.site) {
            None => Some("its site is gone"),
            Some(entry) if !allows(&entry.site, key.address) => {
                Some("its site may not claim it any more")
            }
            Some(_) => None,
        };
        if gone.is_some() {
            self.flows.remove(key, binding)?;
            self.note(EventKind::Removed, key, (None, None), gone);
            return Ok(());
        }
        if binding.state == STATE_QUARANTINED {
            self.quarantines.add(binding, self.policy.quarantine_ns);
        }
        if binding.phase != PHASE_SETTLED {
            let known_ns = self.flows.evidence_ns(binding);
            self.flows.hand_over(key, *binding, known_ns)?;
        }
        Ok(())
    }

    /// A static binding of the configuration.
    pub(super) fn bind_static(
        &mut self,
        address: VmAddress,
        name: &SiteName,
    ) -> Result<(), LearnError> {
        // The configuration was checked: the site is there.
        let Some(site) = self.topology.site(name).map(|entry| entry.id) else {
            return Ok(());
        };
        let key = self.key(address);
        let pinned = |binding| Binding {
            state: STATE_STATIC,
            ..binding
        };
        match self.flows.get(&key)? {
            Some(binding) if binding.site == site => self.flows.replace(&key, &pinned(binding))?,
            Some(binding) => {
                let now_ns = now_ns()?;
                let moved = rule::moved_by_operator(&binding, site, now_ns);
                self.flows.relocate(&key, pinned(moved), now_ns)?;
                self.note(
                    EventKind::Moved,
                    &key,
                    (Some(binding.site), Some(site)),
                    None,
                );
            }
            None => {
                let now_ns = now_ns()?;
                let made = |slot| pinned(rule::created(site, slot, now_ns, [0; 6]));
                if self.flows.create(&key, now_ns, made)?.is_none() {
                    tracing::warn!(%address, "the flow table is full: the static address is not bound");
                    return Ok(());
                }
                self.note(EventKind::Created, &key, (None, Some(site)), None);
            }
        }
        Ok(())
    }

    /// What was refused of an address may be right now: the datapath shall ask again.
    pub(super) fn pardon(&mut self, key: &BindingKey) -> Result<(), LearnError> {
        for entry in &self.topology.sites {
            let source = SourceKey {
                site: entry.id,
                address: key.address,
            };
            self.flows.tables.pardon(&source)?;
        }
        Ok(())
    }

    pub(super) fn key(&self, address: VmAddress) -> BindingKey {
        BindingKey {
            network: self.topology.network,
            address: Address::from(address.get()),
        }
    }

    fn site_id(&self, name: &SiteName) -> Result<u32, No> {
        self.topology
            .site(name)
            .map(|entry| entry.id)
            .ok_or_else(|| {
                let known: Vec<_> = self
                    .topology
                    .sites
                    .iter()
                    .map(|entry| entry.site.name.as_str())
                    .collect();
                No::Refused(format!(
                    "there is no site {name}; the sites are {}",
                    known.join(", ")
                ))
            })
    }

    fn bound(&self, key: &BindingKey, address: VmAddress) -> Result<Binding, No> {
        let binding = self.flows.get(key)?;
        binding.ok_or_else(|| No::Refused(format!("{address} is not bound; `bind` binds it")))
    }

    fn bind(&mut self, address: VmAddress, name: &SiteName, pinned: bool) -> Result<(), No> {
        let (key, site) = (self.key(address), self.site_id(name)?);
        let state = if pinned { STATE_STATIC } else { STATE_LEARNED };
        if let Some(mut binding) = self.flows.get(&key)? {
            if binding.site != site {
                let at = self
                    .topology
                    .site_by_id(binding.site)
                    .map_or_else(String::new, |entry| entry.site.name.to_string());
                return Err(No::Refused(format!(
                    "{address} is bound to {at}; `move` moves it, `unbind` forgets it"
                )));
            }
            // Where it is already: only whether it is pinned may change.
            if binding.state == STATE_QUARANTINED {
                binding = rule::released(&binding);
            }
            binding.state = state;
            return Ok(self.flows.replace(&key, &binding)?);
        }
        let now_ns = now_ns()?;
        let made = |slot| Binding {
            state,
            ..rule::created(site, slot, now_ns, [0; 6])
        };
        if self.flows.create(&key, now_ns, made)?.is_none() {
            let max = self.flows.slots();
            return Err(No::Refused(format!(
                "the flow table is full ({max} bindings); `unbind` some, or start with a larger \
                 --max-flows after `detach`"
            )));
        }
        self.note(EventKind::Created, &key, (None, Some(site)), None);
        Ok(())
    }

    fn move_to(&mut self, address: VmAddress, name: &SiteName) -> Result<(), No> {
        let (key, site) = (self.key(address), self.site_id(name)?);
        let binding = self.bound(&key, address)?;
        if binding.site == site {
            return Ok(());
        }
        let now_ns = now_ns()?;
        let moved = rule::moved_by_operator(&binding, site, now_ns);
        self.flows.relocate(&key, moved, now_ns)?;
        self.note(
            EventKind::Moved,
            &key,
            (Some(binding.site), Some(site)),
            None,
        );
        Ok(())
    }

    fn unbind(&mut self, address: VmAddress) -> Result<(), No> {
        let key = self.key(address);
        let binding = self.bound(&key, address)?;
        self.flows.remove(&key, &binding)?;
        self.note(EventKind::Removed, &key, (Some(binding.site), None), None);
        Ok(())
    }

    fn release(&mut self, address: VmAddress) -> Result<(), No> {
        let key = self.key(address);
        let binding = self.bound(&key, address)?;
        if binding.state != STATE_QUARANTINED {
            return Err(No::Refused(format!("{address} is not quarantined")));
        }
        self.flows.replace(&key, &rule::released(&binding))?;
        self.note(EventKind::Released, &key, (None, Some(binding.site)), None);
        Ok(())
    }

    /// Tells what an operator did.
    fn note(
        &mut self,
        kind: EventKind,
        key: &BindingKey,
        sites: (Option<u32>, Option<u32>),
        reason: Option<&str>,
    ) {
        self.tell(
            kind,
            key.address,
            Some(Evidence::Operator),
            sites,
            |event| {
                event.reason = reason.map(str::to_owned);
            },
        );
    }
}
