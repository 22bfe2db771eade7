//! Down: a frame from a site, to the client.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::XdpContext};
use switch_ebpf::{
    abi::{
        Binding, BindingKey, Counter, Drop, KIND_LEARNING, KIND_QUEUED, KIND_QUEUED_LATE,
        KIND_RARP, Leg, MODE_NATIVE, Network,
    },
    frame::{Evidence, Origin, Retag},
    learning_packet, rule,
    xdp::{Packet, egress, retag},
};

use crate::{
    Ingress, Verdict,
    admit::{self, Admitted},
    count, learn, maps,
    miss::{self, Queued},
    shortcut,
};

/// Forwards by the binding of the sender's address.
#[inline(always)]
pub fn forward(ctx: &XdpContext, ingress: &Ingress<'_>) -> Result<Verdict, Drop> {
    let attachment = ingress.attachment;
    let packet = ingress.frame.packet(&Packet(ctx), ingress.length)?;
    let network = maps::network(attachment.network).ok_or(Drop::NoLeg)?;
    if ingress.frame.is_rarp_announcement(&Packet(ctx)) {
        // The agent learns from it; nobody else is meant to hear it.
        miss::announcement(ctx, ingress, KIND_RARP)?;
        return Err(Drop::Rarp);
    }
    if learning_packet::find(&Packet(ctx), &ingress.frame).is_some() {
        miss::announcement(ctx, ingress, KIND_LEARNING)?;
        count::counter(Counter::LearningPackets);
        return Ok(Verdict::Taken);
    }
    let (address, evidence) = match ingress.frame.origin(&packet)? {
        Origin::Vm(address, evidence) => (address, evidence),
        Origin::Nobody => return deliver(ctx, ingress, &network.client),
    };
    let key = BindingKey {
        network: attachment.network,
        address,
    };
    if let Some(shortcut) = shortcut::find(&key, ingress.cpu)
        && shortcut.site == attachment.site
    {
        let length = sent_length(ingress, &network.client);
        let verdict = deliver(ctx, ingress, &network.client)?;
        shortcut.count_down(ingress.cpu, length);
        return Ok(verdict);
    }
    let Some(binding) = maps::binding(&key) else {
        admit::newcomer(ingress, address)?;
        return miss::newcomer(ctx, ingress).map(|()| Verdict::Taken);
    };
    let mut kind = KIND_QUEUED;
    if binding.site != attachment.site {
        if is_late(network, binding, attachment.site, evidence) {
            kind = KIND_QUEUED_LATE;
        } else {
            let admitted = admit::known(ingress, address)?;
            if admitted == Admitted::Sample || !learn::is_ours(network, binding, evidence) {
                return miss::claim(ctx, ingress, binding).map(|()| Verdict::Taken);
            }
            learn::decide(ctx, ingress, network, &key, binding)?;
        }
    }
    // A straggler too: others from its site may be on their way from before the move.
    let queued = miss::queue_of(binding);
    if !queued.is_none() {
        match miss::behind_others(ctx, ingress, kind, binding, queued) {
            Queued::Taken => {
                if kind == KIND_QUEUED_LATE {
                    count::counter(Counter::Late);
                }
                return Ok(Verdict::Taken);
            }
            // Delivered out of order is better than lost.
            Queued::NoRoom => count::counter(Counter::Overtaken),
        }
    }
    let slot = binding.slot;
    let verdict = deliver(ctx, ingress, &network.client)?;
    if kind == KIND_QUEUED_LATE {
        count::counter(Counter::Late);
    } else {
        let length = sent_length(ingress, &network.client);
        count::flow_down(ingress.cpu, slot, length);
    }
    Ok(verdict)
}

#[inline(always)]
fn is_late(network: &Network, binding: &Binding, site: u32, evidence: Evidence) -> bool {
    let hold_down_ns = match evidence {
        Evidence::Data => network.hold_down_data_ns,
        Evidence::Announce => network.hold_down_announce_ns,
    };
    // SAFETY: a helper without arguments.
    rule::is_late(binding, site, hold_down_ns, unsafe { bpf_ktime_get_ns() })
}

#[inline(always)]
fn change(ingress: &Ingress<'_>, leg: &Leg) -> Retag {
    Retag::between(ingress.frame.outer(), ingress.own_tag, leg.tag())
}

/// How long the frame is with a leg's tag, in bytes.
#[inline(always)]
pub fn sent_length(ingress: &Ingress<'_>, leg: &Leg) -> usize {
    ingress
        .length
        .wrapping_add_signed(change(ingress, leg).growth())
}

/// Sends the frame out of a leg, with that leg's tag.
#[inline(always)]
pub fn deliver(ctx: &XdpContext, ingress: &Ingress<'_>, leg: &Leg) -> Result<Verdict, Drop> {
    let length = sent_length(ingress, leg);
    if leg.max_frame == 0 {
        return Err(Drop::NoLeg);
    }
    if length > leg.max_frame as usize {
        return Err(Drop::TooBig);
    }
    retag(ctx, change(ingress, leg))?;
    count::sent(leg.traffic, length);
    if ingress.attachment.mode == MODE_NATIVE {
        egress::handed_over(ingress.cpu);
    }
    ingress.to.set(leg.port);
    Ok(Verdict::Port)
}
