//! The operator's hand: what is done to a binding by order instead of by evidence.

use switch_ebpf::{
    abi::{BindingKey, STATE_LEARNED, STATE_QUARANTINED, STATE_STATIC},
    frame::Address,
    rule,
};

use super::{LearnError, learner::Learner};
use crate::{
    api::{Event, EventKind, Evidence},
    types::{SiteName, VmAddress},
};

/// An order.
#[derive(Clone, Debug)]
pub enum Order {
    /// Bind an address that is not bound yet.
    Bind {
        /// The address.
        address: VmAddress,
        /// Where it is.
        site: SiteName,
        /// Whether evidence may move it.
        pinned: bool,
    },
    /// Put a bound address at another site.
    Move {
        /// The address.
        address: VmAddress,
        /// Where it is now.
        site: SiteName,
    },
    /// Forget an address.
    Unbind {
        /// The address.
        address: VmAddress,
    },
    /// End a quarantine.
    Release {
        /// The address.
        address: VmAddress,
    },
}

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
        let done = match order {
            Order::Bind {
                address,
                site,
                pinned,
            } => self.bind(address, &site, pinned),
            Order::Move { address, site } => self.move_to(address, &site),
            Order::Unbind { address } => self.unbind(address),
            Order::Release { address } => self.release(address),
        };
        done.map_err(|no| match no {
            No::Refused(why) => why,
            No::Failed(error) => error.to_string(),
        })
    }

    fn key(&self, address: VmAddress) -> BindingKey {
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

    fn not_bound(address: VmAddress) -> No {
        No::Refused(format!("{address} is not bound; `bind` binds it"))
    }

    fn bind(&mut self, address: VmAddress, name: &SiteName, pinned: bool) -> Result<(), No> {
        let (key, site) = (self.key(address), self.site_id(name)?);
        let state = if pinned { STATE_STATIC } else { STATE_LEARNED };
        if let Some(mut binding) = self.tables.binding(&key)? {
            if binding.site != site {
                let at = self
                    .site_name(binding.site)
                    .map_or_else(String::new, |s| s.to_string());
                return Err(No::Refused(format!(
                    "{address} is bound to {at}; `move` moves it, `unbind` forgets it"
                )));
            }
            // Where it is already: only whether it is pinned may change.
            binding.state = state;
            return Ok(self.tables.set_binding(&key, &binding)?);
        }
        let Some(slot) = self.slots.take() else {
            let max = self.tables.max_flows()?;
            return Err(No::Refused(format!(
                "the flow table is full ({max} bindings); `unbind` some, or start with a larger \
                 --max-flows after `detach`"
            )));
        };
        let mut binding = rule::created(site, slot, self.now_ns()?, [0; 6]);
        binding.state = state;
        self.create(&key, binding)?;
        self.note(EventKind::Created, &key, None, Some(site), None);
        Ok(())
    }

    fn move_to(&mut self, address: VmAddress, name: &SiteName) -> Result<(), No> {
        let (key, site) = (self.key(address), self.site_id(name)?);
        let binding = self
            .tables
            .binding(&key)?
            .ok_or_else(|| Self::not_bound(address))?;
        if binding.site == site {
            return Ok(());
        }
        let moved = rule::moved_by_operator(&binding, site, self.now_ns()?);
        self.relocate(&key, moved)?;
        self.note(EventKind::Moved, &key, Some(binding.site), Some(site), None);
        Ok(())
    }

    fn unbind(&mut self, address: VmAddress) -> Result<(), No> {
        let key = self.key(address);
        let binding = self
            .tables
            .binding(&key)?
            .ok_or_else(|| Self::not_bound(address))?;
        self.forget(&key, &binding)?;
        self.note(EventKind::Removed, &key, Some(binding.site), None, None);
        Ok(())
    }

    fn release(&mut self, address: VmAddress) -> Result<(), No> {
        let key = self.key(address);
        let binding = self
            .tables
            .binding(&key)?
            .ok_or_else(|| Self::not_bound(address))?;
        if binding.state != STATE_QUARANTINED {
            return Err(No::Refused(format!("{address} is not quarantined")));
        }
        self.tables.set_binding(&key, &rule::released(&binding))?;
        self.note(EventKind::Released, &key, None, Some(binding.site), None);
        Ok(())
    }

    /// Notes what an operator did.
    pub(super) fn note(
        &self,
        kind: EventKind,
        key: &BindingKey,
        from: Option<u32>,
        to: Option<u32>,
        reason: Option<&str>,
    ) {
        self.record.event(Event {
            from: from.and_then(|site| self.site_name(site)),
            to: to.and_then(|site| self.site_name(site)),
            evidence: Some(Evidence::Operator),
            reason: reason.map(str::to_owned),
            ..Event::now(kind, self.network.clone(), key.address.into())
        });
    }
}
