//! The learning rule: who is believed to be where.
//!
//! A pure function of a binding, evidence, a policy and the time. It knows nothing of maps, frames
//! or clocks, so that the agent and an XDP program can run the same code.

use crate::{
    abi::{Binding, MAX_SITES, NO_SITE, STATE_LEARNED, STATE_QUARANTINED, STATE_STATIC},
    frame::Evidence,
};

/// Whether addresses nobody has heard of are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learn {
    /// An unknown address is bound to the site its first frame comes from.
    Auto,
    /// Only bound addresses move (the patent to the letter).
    MovesOnly,
}

/// What a network's operator has decided. Durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether unknown addresses are believed.
    pub learn: Learn,
    /// For how long after a move data from the site just left is late, not a move back.
    pub hold_down_data_ns: u64,
    /// The same for announcements.
    pub hold_down_announce_ns: u64,
    /// The move that is one too many within the window: RFC 7432 §15.1 says 5.
    pub quarantine_moves: u16,
    /// The window in which moves are counted: RFC 7432 §15.1 says 180 s.
    pub quarantine_window_ns: u64,
    /// How long a quarantine lasts unless the operator ends it; 0 for no end.
    pub quarantine_ns: u64,
    /// Whether an address moves only with the MAC that it is bound for.
    pub pin_mac: bool,
}

/// What somebody claims: that an address is at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where the evidence came from.
    pub site: u32,
    /// Its class.
    pub evidence: Evidence,
    /// The MAC that it speaks for.
    pub mac: [u8; 6],
    /// Whether the site may claim the address.
    pub authorised: bool,
}

impl Policy {
    /// The hold-down for this class of evidence.
    #[inline(always)]
    pub const fn hold_down_ns(&self, evidence: Evidence) -> u64 {
        match evidence {
            Evidence::Data => self.hold_down_data_ns,
            Evidence::Announce => self.hold_down_announce_ns,
        }
    }
}

/// Why evidence was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The address is outside what the site may claim.
    Unauthorised,
    /// The address is none that a VM can have.
    NotAnAddress,
    /// The address is not bound, and only bound ones may move.
    Unknown,
    /// The operator pinned the address to another site.
    Pinned,
    /// The address is quarantined at another site.
    Quarantined,
    /// The address is bound for another MAC, and moves only with that.
    OtherMac,
    /// The flow table is full.
    TableFull,
    /// The site has as many bindings as it may have.
    SiteFull,
    /// A learning packet without a signature, where one is required.
    Unsigned,
    /// A learning packet whose signature is wrong.
    Forged,
    /// A signed learning packet that was there before.
    Replayed,
    /// A signed learning packet with the id of a gateway at another site.
    GatewayTwice,
    /// A learning packet that cannot be read.
    Unreadable,
}

impl Refusal {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 13] = [
        Self::Unauthorised,
        Self::NotAnAddress,
        Self::Unknown,
        Self::Pinned,
        Self::Quarantined,
        Self::OtherMac,
        Self::TableFull,
        Self::SiteFull,
        Self::Unsigned,
        Self::Forged,
        Self::Replayed,
        Self::GatewayTwice,
        Self::Unreadable,
    ];

    /// The reason's stable name, in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::NotAnAddress => "not-an-address",
            Self::Unknown => "unknown",
            Self::Pinned => "pinned",
            Self::Quarantined => "quarantined",
            Self::OtherMac => "other-mac",
            Self::TableFull => "table-full",
            Self::SiteFull => "site-full",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::GatewayTwice => "gateway-twice",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What the rule says of a piece of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Bind the address to the site.
    Create,
    /// It is bound there already.
    Refresh,
    /// Bind it to the site instead of where it was.
    Move,
    /// A straggler from the site it just left: deliver it, learn nothing.
    Late,
    /// One move too many: keep it where it is, and raise the alarm.
    Quarantine,
    /// Do not believe it.
    Refuse(Refusal),
}

/// Whether a frame from `site` is a straggler: the address has just left that site. A static binding
/// has stragglers as well, when the operator moves it; a quarantined one is to be held.
///
/// The datapath asks this by itself, so that late frames cost no miss.
#[inline(always)]
pub fn is_late(binding: &Binding, site: u32, hold_down_ns: u64, now_ns: u64) -> bool {
    binding.state != STATE_QUARANTINED && has_left(binding, site, hold_down_ns, now_ns)
}

#[inline(always)]
fn has_left(binding: &Binding, site: u32, hold_down_ns: u64, now_ns: u64) -> bool {
    was_there(binding, site) && now_ns.saturating_sub(binding.moved_at_ns) < hold_down_ns
}

/// The rule. `now_ns` is the time on the clock that the binding's times are of.
#[inline(always)]
pub fn judge(binding: Option<&Binding>, claim: &Claim, policy: &Policy, now_ns: u64) -> Verdict {
    if !claim.authorised {
        return Verdict::Refuse(Refusal::Unauthorised);
    }
    let Some(binding) = binding else {
        return match policy.learn {
            Learn::Auto => Verdict::Create,
            Learn::MovesOnly => Verdict::Refuse(Refusal::Unknown),
        };
    };
    if binding.site == claim.site {
        return Verdict::Refresh;
    }
    let over = is_quarantine_over(binding, policy, now_ns);
    if binding.state == STATE_QUARANTINED && !over {
        return Verdict::Refuse(Refusal::Quarantined);
    }
    let hold_down_ns = policy.hold_down_ns(claim.evidence);
    if has_left(binding, claim.site, hold_down_ns, now_ns) {
        return Verdict::Late;
    }
    if binding.state == STATE_STATIC {
        return Verdict::Refuse(Refusal::Pinned);
    }
    if policy.pin_mac && binding.mac != [0; 6] && binding.mac != claim.mac {
        return Verdict::Refuse(Refusal::OtherMac);
    }
    if over {
        return Verdict::Move;
    }
    if moves_in_window(binding, policy, now_ns).saturating_add(1) >= policy.quarantine_moves {
        return Verdict::Quarantine;
    }
    Verdict::Move
}

/// Whether a quarantine has ended by time.
#[inline(always)]
pub fn is_quarantine_over(binding: &Binding, policy: &Policy, now_ns: u64) -> bool {
    // While it lasts, the window's start is the quarantine's.
    binding.state == STATE_QUARANTINED
        && policy.quarantine_ns != 0
        && now_ns.saturating_sub(binding.window_start_ns) >= policy.quarantine_ns
}

/// The moves already counted in the window that is open at `now_ns`.
#[inline(always)]
pub fn moves_in_window(binding: &Binding, policy: &Policy, now_ns: u64) -> u16 {
    let open = binding.window_moves > 0
        && now_ns.saturating_sub(binding.window_start_ns) < policy.quarantine_window_ns;
    if open { binding.window_moves } else { 0 }
}

/// Whether a site is the last but one or two that the address was at. A VM that moves on quickly has
/// stragglers at both.
#[inline(always)]
const fn was_there(binding: &Binding, site: u32) -> bool {
    binding.previous_site == site || earlier(site) != 0 && binding.earlier_site == earlier(site)
}

/// A site as [`Binding::earlier_site`] holds it.
#[inline(always)]
const fn earlier(site: u32) -> u16 {
    if site < MAX_SITES { site as u16 + 1 } else { 0 }
}

/// A new binding. `slot` is the place of its counters.
pub fn created(site: u32, slot: u32, now_ns: u64, mac: [u8; 6]) -> Binding {
    Binding {
        site,
        previous_site: NO_SITE,
        state: STATE_LEARNED,
        phase: 0,
        left: 0,
        slot,
        window_moves: 0,
        moved_at_ns: 0,
        window_start_ns: 0,
        created_at_ns: now_ns,
        mac,
        earlier_site: 0,
    }
}

/// The binding after a move that the rule allowed: it counts towards the quarantine.
#[inline(always)]
pub fn moved(binding: &Binding, claim: &Claim, policy: &Policy, now_ns: u64) -> Binding {
    let clean = released(binding);
    let binding = match binding.state {
        // The rule lets it move only when its quarantine is over.
        STATE_QUARANTINED => &clean,
        _ => binding,
    };
    let counted = moves_in_window(binding, policy, now_ns);
    Binding {
        window_moves: counted.saturating_add(1),
        window_start_ns: if counted == 0 {
            now_ns
        } else {
            binding.window_start_ns
        },
        mac: claim.mac,
        ..moved_by_operator(binding, claim.site, now_ns)
    }
}

/// The binding after the operator moved it: it does not count towards the quarantine, and the
/// stragglers of the old site are late as after any move.
#[inline(always)]
pub fn moved_by_operator(binding: &Binding, site: u32, now_ns: u64) -> Binding {
    Binding {
        site,
        previous_site: binding.site,
        earlier_site: earlier(binding.previous_site),
        moved_at_ns: now_ns,
        ..*binding
    }
}

/// The binding held where it is, from now on.
#[inline(always)]
pub fn quarantined(binding: &Binding, now_ns: u64) -> Binding {
    Binding {
        state: STATE_QUARANTINED,
        window_start_ns: now_ns,
        ..*binding
    }
}

/// The binding let go from quarantine, with a clean record.
#[inline(always)]
pub fn released(binding: &Binding) -> Binding {
    Binding {
        state: STATE_LEARNED,
        window_moves: 0,
        window_start_ns: 0,
        ..*binding
    }
}
