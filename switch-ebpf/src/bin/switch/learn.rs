//! Learning without the agent: while it is away, or always where the operator wants that, the
//! datapath applies the learning rule to the data of addresses that are bound, by the same function.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::XdpContext};
use switch_ebpf::{
    abi::{
        Binding, BindingKey, Counter, Drop, KIND_HELD, KIND_MOVED, LEARN_ALWAYS, LEARN_NEVER,
        LEFT_UNKNOWN, Network, PHASE_SETTLED,
    },
    frame::Evidence,
    rule::{self, Claim, Learn, Policy, Verdict},
};

use crate::{Ingress, count, maps, miss, shortcut};

/// Whether the datapath decides by itself on what speaks for a bound address.
#[inline(always)]
pub fn is_ours(network: &Network, binding: &Binding, evidence: Evidence) -> bool {
    matches!(evidence, Evidence::Data)
        && match network.learn_in_datapath {
            // In a handover the agent has frames of the address, and it will write the binding.
            LEARN_ALWAYS => binding.phase == PHASE_SETTLED || !miss::agent_is_there(),
            LEARN_NEVER => false,
            _ => !miss::agent_is_there(),
        }
}

/// Applies the rule to a frame from another site than its address is bound to. The frame is
/// delivered unless this is an error.
#[inline(always)]
pub fn decide(
    ctx: &XdpContext,
    ingress: &Ingress<'_>,
    network: &Network,
    key: &BindingKey,
    binding: &'static Binding,
) -> Result<(), Drop> {
    let policy = policy(network);
    let claim = Claim {
        site: ingress.attachment.site,
        evidence: Evidence::Data,
        mac: ingress.frame.source,
        authorised: true,
    };
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    match rule::judge(Some(binding), &claim, &policy, now_ns) {
        Verdict::Move | Verdict::Quarantine => {}
        Verdict::Refuse(_) => return Err(Drop::Refused),
        Verdict::Create | Verdict::Refresh | Verdict::Late => return Ok(()),
    }
    // Of several CPUs that see the same move one carries it out. The others deliver: if it was
    // another move, the next frame will tell.
    let Some(claimed) = maps::claim(key, binding) else {
        return Ok(());
    };
    let before = *claimed.binding;
    match rule::judge(Some(&before), &claim, &policy, now_ns) {
        Verdict::Move => {
            write(key, &rule::moved(&before, &claim, &policy, now_ns));
            count::counter(Counter::Moves);
            miss::learned(ctx, ingress, KIND_MOVED, &before);
            Ok(())
        }
        Verdict::Quarantine => {
            write(key, &rule::quarantined(&before, now_ns));
            miss::learned(ctx, ingress, KIND_HELD, &before);
            Err(Drop::Refused)
        }
        // Another CPU has moved it meanwhile.
        _ => {
            claimed.give_back();
            Ok(())
        }
    }
}

/// Writes a binding with nothing in the agent's hands that its frames would have to wait for.
#[inline(always)]
fn write(key: &BindingKey, binding: &Binding) {
    let settled = Binding {
        phase: PHASE_SETTLED,
        left: LEFT_UNKNOWN,
        ..*binding
    };
    maps::replace_binding(key, &settled);
    shortcut::close(key);
}

#[inline(always)]
fn policy(network: &Network) -> Policy {
    Policy {
        // It says nothing of addresses that are bound.
        learn: Learn::MovesOnly,
        hold_down_data_ns: network.hold_down_data_ns,
        hold_down_announce_ns: network.hold_down_announce_ns,
        quarantine_moves: network.quarantine_moves,
        quarantine_window_ns: network.quarantine_window_ns,
        quarantine_ns: network.quarantine_ns,
        pin_mac: network.pin_mac != 0,
    }
}
