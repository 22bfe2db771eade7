//! Who gets the agent's time: a frame that the datapath cannot decide on is let through to the agent
//! only within limits, so that one site's storm leaves the others their share.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use switch_ebpf::{
    abi::{AllowKey, Drop, Limited, NEWCOMER_LIMIT, SOURCE_LIMIT, SourceKey, UNAUTHORISED_SAMPLE},
    frame::Address,
    xdp::within,
};

use crate::{Ingress, count, maps};

/// For whom a frame is let through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// For whoever decides.
    Claim,
    /// For the agent alone, which will refuse it: the site may not claim the address.
    Sample,
}

/// Lets a frame from an address through that is bound elsewhere.
#[inline(always)]
pub fn known(ingress: &Ingress<'_>, address: Address) -> Result<Admitted, Drop> {
    let admitted = authorised(ingress, address)?;
    not_refused(ingress, address)?;
    Ok(admitted)
}

/// Lets a frame from an address through that is not bound.
#[inline(always)]
pub fn newcomer(ingress: &Ingress<'_>, address: Address) -> Result<(), Drop> {
    known(ingress, address)?;
    let site = ingress.attachment.site;
    let key = SourceKey { site, address };
    if !maps::source_within(&key, SOURCE_LIMIT) {
        return Err(limited(site, Limited::SourceRate, Drop::SourceRate));
    }
    if !within(maps::newcomer_due(site), NEWCOMER_LIMIT) {
        return Err(limited(site, Limited::MissRate, Drop::MissRate));
    }
    Ok(())
}

/// Whether the site may claim the address. One frame in a while is let through although it may not,
/// so that the agent can tell of it.
#[inline(always)]
fn authorised(ingress: &Ingress<'_>, address: Address) -> Result<Admitted, Drop> {
    let site = ingress.attachment.site;
    let restricted = maps::site_policy(site).is_some_and(|policy| policy.restricted != 0);
    if !restricted || maps::allows(&AllowKey::new(site, address)) {
        return Ok(Admitted::Claim);
    }
    if within(maps::sample_due(site), UNAUTHORISED_SAMPLE) {
        return Ok(Admitted::Sample);
    }
    Err(limited(site, Limited::Unauthorised, Drop::Unauthorised))
}

/// Whether the agent has not just refused the same.
#[inline(always)]
fn not_refused(ingress: &Ingress<'_>, address: Address) -> Result<(), Drop> {
    let site = ingress.attachment.site;
    let until_ns = maps::refused_until_ns(&SourceKey { site, address });
    // SAFETY: a helper without arguments.
    if until_ns == 0 || until_ns <= unsafe { bpf_ktime_get_ns() } {
        return Ok(());
    }
    Err(limited(site, Limited::Refused, Drop::Refused))
}

#[inline(always)]
fn limited(site: u32, limit: Limited, reason: Drop) -> Drop {
    count::limited(site, limit);
    reason
}
