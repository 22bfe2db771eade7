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

use crate::{Ingress, count, maps, miss};

/// Whether the datapath decides on data by itself.
#[inline(always)]
pub fn is_ours(network: &Network, evidence: Evidence) -> bool {
    matches!(evidence, Evidence::Data)
        && match network.learn_in_datapath {
            LEARN_ALWAYS => true,
            LEARN_NEVER => false,
            _ => !miss::agent_is_there(),
        }
}

/// Applies the rule to a frame from another site than its address is bound to; `slot` is the
/// binding's. The frame is delivered unless this is an error.
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
        Verdict::Move => {
            // Of several CPUs that see the same move one carries it out. The others deliver: if it
            // was another move, the next frame will tell.
            if !maps::claim_move(binding, now_ns) {
                return Ok(());
            }
            let after = rule::moved(binding, &claim, &policy, now_ns);
            write(key, &after);
            count::counter(Counter::Moves);
            miss::learned(ctx, ingress, KIND_MOVED, binding);
            Ok(())
        }
        Verdict::Quarantine => {
            if maps::claim_move(binding, binding.moved_at_ns.wrapping_add(1)) {
                write(key, &rule::quarantined(binding, now_ns));
                miss::learned(ctx, ingress, KIND_HELD, binding);
            }
            Err(Drop::Refused)
        }
        Verdict::Refuse(_) => Err(Drop::Refused),
        Verdict::Create | Verdict::Refresh | Verdict::Late => Ok(()),
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
