//! One address, the evidence and the orders for it, and an agent that does what the rule says.

use proptest::prelude::*;
use switch_ebpf::{
    abi::{Binding, STATE_LEARNED, STATE_QUARANTINED, STATE_STATIC},
    frame::Evidence,
    rule::{self, Claim, Learn, Policy, Refusal, Verdict},
};

/// A second in nanoseconds.
pub const S: u64 = 1_000_000_000;
/// Sites in the world.
pub const SITES: u32 = 4;

/// The policy unless the operator says otherwise.
pub const DEFAULTS: Policy = Policy {
    learn: Learn::Auto,
    hold_down_data_ns: 5 * S,
    hold_down_announce_ns: S,
    quarantine_moves: 5,
    quarantine_window_ns: 180 * S,
    quarantine_ns: 0,
    pin_mac: false,
};

/// The MAC of the VM.
pub const MAC: [u8; 6] = [2; 6];

/// A claim of the VM's.
pub fn claim(site: u32, evidence: Evidence) -> Claim {
    Claim {
        site,
        evidence,
        mac: MAC,
        authorised: true,
    }
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Evidence arrives.
    Hear(u32, Evidence),
    /// Time goes by.
    Wait(u64),
    /// `bind`, or `bind --static`.
    Bind(u32, bool),
    /// `move`.
    Move(u32),
    /// `unbind`.
    Unbind,
    /// `release`.
    Release,
}

/// The address and what is known of it.
#[derive(Clone, Debug)]
pub struct World {
    pub policy: Policy,
    /// Which sites may claim the address.
    pub authorised: [bool; SITES as usize],
    pub now_ns: u64,
    pub binding: Option<Binding>,
    /// When it moved by evidence, since the record was last clean.
    pub moves: Vec<u64>,
}

impl World {
    pub fn new(policy: Policy, authorised: [bool; SITES as usize], now_ns: u64) -> Self {
        Self {
            policy,
            authorised,
            now_ns,
            binding: None,
            moves: Vec::new(),
        }
    }

    /// Whether a site may claim the address.
    pub fn may(&self, site: u32) -> bool {
        self.authorised[site as usize]
    }

    /// Evidence arrives, and the agent does what the rule says of it.
    pub fn hear(&mut self, site: u32, class: Evidence) -> Verdict {
        let (policy, now_ns) = (&self.policy, self.now_ns);
        let binding = self.binding.as_ref();
        let claim = Claim {
            authorised: self.may(site),
            ..claim(site, class)
        };
        let verdict = rule::judge(binding, &claim, policy, now_ns);
        match (verdict, self.binding) {
            (Verdict::Create, _) => self.binding = Some(rule::created(site, 0, now_ns, MAC)),
            (Verdict::Move, Some(before)) => {
                if before.state == STATE_QUARANTINED {
                    self.moves.clear();
                }
                self.binding = Some(rule::moved(&before, &claim, policy, now_ns));
                self.moves.push(now_ns);
            }
            (Verdict::Quarantine, Some(before)) => {
                self.binding = Some(rule::quarantined(&before, now_ns))
            }
            _ => {}
        }
        verdict
    }

    /// Something happens. Orders that the agent would refuse do nothing.
    pub fn step(&mut self, step: Step) {
        match (step, self.binding) {
            (Step::Hear(site, class), _) => drop(self.hear(site, class)),
            (Step::Wait(ns), _) => self.now_ns = self.now_ns.saturating_add(ns),
            (Step::Bind(site, pinned), binding) => {
                let state = if pinned { STATE_STATIC } else { STATE_LEARNED };
                let bound = match binding {
                    Some(bound) if bound.site != site => return,
                    Some(bound) => bound,
                    None => rule::created(site, 0, self.now_ns, [0; 6]),
                };
                self.binding = Some(Binding { state, ..bound });
            }
            (Step::Move(site), Some(bound)) if bound.site != site => {
                self.binding = Some(rule::moved_by_operator(&bound, site, self.now_ns));
            }
            (Step::Unbind, _) => {
                self.binding = None;
                self.moves.clear();
            }
            (Step::Release, Some(bound)) if bound.state == STATE_QUARANTINED => {
                self.binding = Some(rule::released(&bound));
                self.moves.clear();
            }
            (Step::Move(_) | Step::Release, _) => {}
        }
    }

    /// Why evidence from a site may rightly be refused for ever.
    pub fn refuses(&self, site: u32) -> Option<Refusal> {
        if !self.may(site) {
            return Some(Refusal::Unauthorised);
        }
        match self.binding {
            None if self.policy.learn == Learn::MovesOnly => Some(Refusal::Unknown),
            Some(bound) if bound.site == site => None,
            Some(bound) if bound.state == STATE_STATIC => Some(Refusal::Pinned),
            Some(bound)
                if bound.state == STATE_QUARANTINED
                    && !rule::is_quarantine_over(&bound, &self.policy, self.now_ns) =>
            {
                Some(Refusal::Quarantined)
            }
            _ => None,
        }
    }
}

pub fn class() -> impl Strategy<Value = Evidence> {
    prop_oneof![Just(Evidence::Data), Just(Evidence::Announce)]
}

pub fn policy() -> impl Strategy<Value = Policy> {
    let learn = prop_oneof![4 => Just(Learn::Auto), 1 => Just(Learn::MovesOnly)];
    let ends = prop_oneof![Just(0), 1..400 * S];
    let other = (learn, 0..6 * S, 0..2 * S, 2..7_u16, 1..200 * S, ends).prop_map(
        |(learn, data, announce, quarantine_moves, quarantine_window_ns, quarantine_ns)| Policy {
            learn,
            hold_down_data_ns: data,
            hold_down_announce_ns: announce,
            quarantine_moves,
            quarantine_window_ns,
            quarantine_ns,
            pin_mac: false,
        },
    );
    prop_oneof![Just(DEFAULTS), other]
}

/// Anything may happen, evidence and time most of all.
pub fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![0..S, 0..6 * S, 0..100 * S];
    prop_oneof![
        12 => (0..SITES, class()).prop_map(|(site, class)| Step::Hear(site, class)),
        8 => wait.prop_map(Step::Wait),
        1 => (0..SITES, any::<bool>()).prop_map(|(site, pinned)| Step::Bind(site, pinned)),
        1 => (0..SITES).prop_map(Step::Move),
        1 => Just(Step::Unbind),
        1 => Just(Step::Release),
    ]
}

/// A world in which no site or most sites may not claim the address.
pub fn world() -> impl Strategy<Value = World> {
    let authorised = prop_oneof![
        Just([true; SITES as usize]),
        any::<[bool; SITES as usize]>()
    ];
    (policy(), authorised, 0..1_000 * S)
        .prop_map(|(policy, authorised, now_ns)| World::new(policy, authorised, now_ns))
}
