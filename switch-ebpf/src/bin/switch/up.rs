//! Up: a frame from the client, to a site or to all of them.

use aya_ebpf::programs::XdpContext;
use switch_ebpf::{
    abi::{BindingKey, Drop, UNKNOWN_FLOOD},
    frame::{Address, Target},
    limit::Limit,
    xdp::{Packet, within},
};

use crate::{
    Ingress, Verdict, count,
    down::{deliver, sent_length},
    maps, miss, shortcut,
};

/// Forwards by the binding of the address that the frame is meant for.
#[inline(always)]
pub fn forward(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<Verdict, Drop> {
    let packet = ingress.frame.packet(&Packet(ctx), ingress.length)?;
    match ingress.frame.target(&packet)? {
        Target::Asked(address) => match bound(ctx, ingress, address) {
            Some(verdict) => verdict,
            None => everyone(ctx, ingress),
        },
        Target::Unicast(address) => match bound(ctx, ingress, address) {
            Some(verdict) => verdict,
            None => unknown(ctx, ingress),
        },
        Target::Everyone => everyone(ctx, ingress),
        Target::Station => unknown(ctx, ingress),
    }
}

/// Sends the frame to where `address` is bound, if it is.
#[inline(always)]
fn bound(
    ctx: &XdpContext,
    ingress: &Ingress<'_>,
    address: Address,
) -> Option<Result<Verdict, Drop>> {
    let key = BindingKey {
        network: ingress.attachment.network,
        address,
    };
    if let Some(shortcut) = shortcut::find(&key, ingress.cpu) {
        let sent = send(ctx, ingress, shortcut.site);
        return Some(sent.map(|length| {
            shortcut.count_up(length);
            Verdict::Port
        }));
    }
    let binding = maps::binding(&key)?;
    let slot = binding.slot;
    let sent = send(ctx, ingress, binding.site);
    Some(sent.map(|length| {
        count::flow_up(slot, length);
        Verdict::Port
    }))
}

/// Sends the frame to a site. Its length as it leaves.
#[inline(always)]
fn send(ctx: &XdpContext, ingress: &Ingress<'_>, site: u32) -> Result<usize, Drop> {
    let leg = maps::site(site).ok_or(Drop::NoLeg)?;
    let length = sent_length(ingress, leg);
    deliver(ctx, ingress, leg)?;
    Ok(length)
}

/// A frame to nobody known: to every site, within limits, or nowhere.
#[inline(always)]
fn unknown(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<Verdict, Drop> {
    let id = ingress.attachment.network;
    let network = maps::network(id).ok_or(Drop::NoLeg)?;
    if network.unknown != UNKNOWN_FLOOD {
        return Err(Drop::Unknown);
    }
    let limit = Limit {
        interval_ns: network.flood_interval_ns,
        burst_ns: network.flood_burst_ns,
    };
    if !within(maps::flood_due(id), limit) {
        return Err(Drop::UnknownRate);
    }
    everyone(ctx, ingress)
}

/// A copy for every site of the network, which the agent makes. The kernel could (a broadcast into a
/// map of devices), but it runs one program for all copies that leave by one device, so that two
/// sites on one trunk could not get each its own tag.
#[inline(always)]
fn everyone(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<Verdict, Drop> {
    let network = maps::network(ingress.attachment.network).ok_or(Drop::NoLeg)?;
    if network.sites == 0 {
        return Err(Drop::NoLeg);
    }
    miss::to_every_site(ctx, ingress)?;
    Ok(Verdict::Taken)
}
