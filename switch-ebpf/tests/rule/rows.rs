//! Each row of DESIGN.md §4.

use switch_ebpf::{
    abi::{Binding, NO_SITE, STATE_LEARNED, STATE_QUARANTINED, STATE_STATIC},
    frame::Evidence,
    rule::{
        self, Claim, Learn, Policy, Refusal, Verdict, created, is_late, moved_by_operator, released,
    },
};

use super::world::{DEFAULTS, MAC, S, claim};

const OTHER_MAC: [u8; 6] = [4; 6];
const CLASSES: [Evidence; 2] = [Evidence::Data, Evidence::Announce];

fn judge(
    binding: Option<&Binding>,
    site: u32,
    class: Evidence,
    authorised: bool,
    policy: &Policy,
    now_ns: u64,
) -> Verdict {
    let claim = Claim {
        authorised,
        ..claim(site, class)
    };
    rule::judge(binding, &claim, policy, now_ns)
}

fn moved(binding: &Binding, site: u32, policy: &Policy, now_ns: u64, mac: [u8; 6]) -> Binding {
    let claim = Claim {
        mac,
        ..claim(site, Evidence::Data)
    };
    rule::moved(binding, &claim, policy, now_ns)
}

fn quarantined(binding: &Binding) -> Binding {
    rule::quarantined(binding, S)
}

fn data(binding: Option<&Binding>, site: u32, now_ns: u64) -> Verdict {
    judge(binding, site, Evidence::Data, true, &DEFAULTS, now_ns)
}

fn refused(why: Refusal) -> Verdict {
    Verdict::Refuse(why)
}

/// A binding in each state, at site 1.
fn bindings() -> [Option<Binding>; 5] {
    let learned = created(1, 0, S, MAC);
    let pinned = Binding {
        state: STATE_STATIC,
        ..learned
    };
    let after_move = moved(&created(2, 0, S, MAC), 1, &DEFAULTS, S, MAC);
    [
        None,
        Some(learned),
        Some(pinned),
        Some(quarantined(&learned)),
        Some(after_move),
    ]
}

#[test]
fn a_site_that_may_not_claim_the_address_is_refused() {
    for binding in bindings() {
        for site in [1, 2, 3] {
            for class in CLASSES {
                let verdict = judge(binding.as_ref(), site, class, false, &DEFAULTS, S);
                assert_eq!(verdict, refused(Refusal::Unauthorised), "{binding:?}");
            }
        }
    }
}

#[test]
fn an_unknown_address_is_bound_to_where_it_speaks_from() {
    for class in CLASSES {
        let verdict = judge(None, 1, class, true, &DEFAULTS, S);
        assert_eq!(verdict, Verdict::Create);
    }
    let binding = created(1, 7, S, MAC);
    assert_eq!(
        (binding.site, binding.previous_site, binding.state),
        (1, NO_SITE, STATE_LEARNED)
    );
    assert_eq!(
        (binding.slot, binding.created_at_ns, binding.mac),
        (7, S, MAC)
    );
    assert_eq!((binding.window_moves, binding.moved_at_ns), (0, 0));
}

#[test]
fn an_unknown_address_is_refused_where_only_moves_are_learned() {
    let moves_only = Policy {
        learn: Learn::MovesOnly,
        ..DEFAULTS
    };
    let verdict = |binding| judge(binding, 1, Evidence::Data, true, &moves_only, S);
    assert_eq!(verdict(None), refused(Refusal::Unknown));
    let elsewhere = created(2, 0, S, MAC);
    assert_eq!(verdict(Some(&elsewhere)), Verdict::Move);
}

#[test]
fn evidence_from_where_the_address_is_refreshes_in_every_state() {
    for binding in bindings().into_iter().flatten() {
        for class in CLASSES {
            let verdict = judge(Some(&binding), 1, class, true, &DEFAULTS, S);
            assert_eq!(verdict, Verdict::Refresh, "{binding:?}");
        }
    }
}

#[test]
fn a_static_binding_is_pinned() {
    let pinned = Binding {
        state: STATE_STATIC,
        ..created(1, 0, S, MAC)
    };
    assert_eq!(data(Some(&pinned), 2, S), refused(Refusal::Pinned));
    assert_eq!(data(Some(&pinned), 2, u64::MAX), refused(Refusal::Pinned));
}

#[test]
fn a_static_binding_that_the_operator_moves_has_stragglers() {
    let pinned = Binding {
        state: STATE_STATIC,
        ..created(1, 0, S, MAC)
    };
    let after = moved_by_operator(&pinned, 2, 10 * S);
    assert_eq!(after.state, STATE_STATIC);
    assert_eq!(data(Some(&after), 1, 15 * S - 1), Verdict::Late);
    assert_eq!(data(Some(&after), 1, 15 * S), refused(Refusal::Pinned));
    assert_eq!(data(Some(&after), 3, 10 * S), refused(Refusal::Pinned));
}

#[test]
fn a_quarantined_binding_has_no_stragglers() {
    let held = quarantined(&moved(&created(1, 0, S, MAC), 2, &DEFAULTS, 10 * S, MAC));
    assert_eq!(data(Some(&held), 1, 10 * S), refused(Refusal::Quarantined));
}

#[test]
fn a_quarantine_that_ends_within_the_hold_down_leaves_stragglers() {
    let short = Policy {
        quarantine_ns: S,
        ..DEFAULTS
    };
    let after = moved(&created(1, 0, S, MAC), 2, &DEFAULTS, 10 * S, MAC);
    let held = rule::quarantined(&after, 10 * S);
    let verdict = |site| judge(Some(&held), site, Evidence::Data, true, &short, 12 * S);
    assert_eq!(verdict(1), Verdict::Late);
    assert_eq!(verdict(3), Verdict::Move);
}

#[test]
fn a_quarantined_binding_is_held_until_it_is_released() {
    let held = quarantined(&created(1, 0, S, MAC));
    assert_eq!((held.site, held.state), (1, STATE_QUARANTINED));
    assert_eq!(data(Some(&held), 2, S), refused(Refusal::Quarantined));
    assert_eq!(
        data(Some(&held), 2, u64::MAX),
        refused(Refusal::Quarantined)
    );
    let free = released(&held);
    assert_eq!(free.state, STATE_LEARNED);
    assert_eq!(data(Some(&free), 2, S), Verdict::Move);
}

#[test]
fn a_straggler_is_late_until_the_hold_down_of_its_class_is_over() {
    let after = moved(&created(1, 0, S, MAC), 2, &DEFAULTS, 10 * S, MAC);
    assert_eq!(data(Some(&after), 1, 10 * S), Verdict::Late);
    assert_eq!(data(Some(&after), 1, 15 * S - 1), Verdict::Late);
    assert_eq!(data(Some(&after), 1, 15 * S), Verdict::Move);
    let announce = |now| judge(Some(&after), 1, Evidence::Announce, true, &DEFAULTS, now);
    assert_eq!(announce(11 * S - 1), Verdict::Late);
    assert_eq!(announce(11 * S), Verdict::Move);
}

#[test]
fn a_site_that_was_not_left_is_not_late() {
    let fresh = created(1, 0, S, MAC);
    assert_eq!(data(Some(&fresh), 2, S), Verdict::Move);
    let after = moved(&fresh, 2, &DEFAULTS, 10 * S, MAC);
    assert_eq!(data(Some(&after), 3, 10 * S), Verdict::Move);
}

#[test]
fn the_last_two_sites_it_left_are_late() {
    // The binding remembers two sites. One left before those is believed, within the hold-down or not.
    let first = moved(&created(0, 0, S, MAC), 1, &DEFAULTS, 10 * S, MAC);
    let second = moved(&first, 2, &DEFAULTS, 11 * S, MAC);
    assert_eq!(data(Some(&second), 1, 12 * S), Verdict::Late);
    assert_eq!(data(Some(&second), 0, 12 * S), Verdict::Late);
    assert_eq!(data(Some(&second), 0, 16 * S), Verdict::Move);
    let third = moved(&second, 3, &DEFAULTS, 12 * S, MAC);
    assert_eq!(data(Some(&third), 1, 13 * S), Verdict::Late);
    assert_eq!(data(Some(&third), 0, 13 * S), Verdict::Move);
}

#[test]
fn without_a_hold_down_nothing_is_late() {
    let none = Policy {
        hold_down_data_ns: 0,
        hold_down_announce_ns: 0,
        ..DEFAULTS
    };
    let after = moved(&created(1, 0, S, MAC), 2, &none, 10 * S, MAC);
    for class in CLASSES {
        assert_eq!(
            judge(Some(&after), 1, class, true, &none, 10 * S),
            Verdict::Move
        );
    }
}

#[test]
fn a_move_keeps_what_it_came_from() {
    let before = created(1, 7, S, MAC);
    let after = moved(&before, 2, &DEFAULTS, 10 * S, OTHER_MAC);
    assert_eq!((after.site, after.previous_site), (2, 1));
    assert_eq!((after.moved_at_ns, after.mac), (10 * S, OTHER_MAC));
    assert_eq!((after.window_moves, after.window_start_ns), (1, 10 * S));
    assert_eq!(
        (after.slot, after.created_at_ns, after.state),
        (7, S, STATE_LEARNED)
    );
}

#[test]
fn a_move_by_the_operator_does_not_count_but_leaves_stragglers() {
    let before = created(1, 7, S, MAC);
    let after = moved_by_operator(&before, 2, 10 * S);
    assert_eq!((after.site, after.previous_site, after.mac), (2, 1, MAC));
    assert_eq!(
        (after.moved_at_ns, after.window_moves),
        (10 * S, 0),
        "no evidence moved it"
    );
    assert_eq!(data(Some(&after), 1, 15 * S - 1), Verdict::Late);
}

#[test]
fn the_fifth_move_within_the_window_is_one_too_many() {
    let mut binding = created(0, 0, S, MAC);
    for n in 1..=4 {
        let now_ns = u64::from(n) * 10 * S;
        assert_eq!(data(Some(&binding), n, now_ns), Verdict::Move, "move {n}");
        binding = moved(&binding, n, &DEFAULTS, now_ns, MAC);
    }
    assert_eq!(data(Some(&binding), 5, 100 * S), Verdict::Quarantine);
    assert_eq!(data(Some(&binding), 5, 190 * S - 1), Verdict::Quarantine);
    assert_eq!(
        data(Some(&binding), 5, 190 * S),
        Verdict::Move,
        "the window is over, 180 s after the first of its moves"
    );
    let next = moved(&binding, 5, &DEFAULTS, 190 * S, MAC);
    assert_eq!((next.window_moves, next.window_start_ns), (1, 190 * S));
}

#[test]
fn a_quarantine_ends_by_itself_where_the_operator_wants_that() {
    let policy = Policy {
        quarantine_ns: 60 * S,
        ..DEFAULTS
    };
    let held = rule::quarantined(&created(1, 0, S, MAC), 10 * S);
    let verdict = |now_ns| judge(Some(&held), 2, Evidence::Data, true, &policy, now_ns);
    assert_eq!(verdict(70 * S - 1), refused(Refusal::Quarantined));
    assert_eq!(verdict(70 * S), Verdict::Move);
    let free = moved(&held, 2, &policy, 70 * S, MAC);
    assert_eq!((free.state, free.site), (STATE_LEARNED, 2));
    assert_eq!((free.window_moves, free.window_start_ns), (1, 70 * S));
    assert_eq!(
        data(Some(&held), 2, u64::MAX),
        refused(Refusal::Quarantined),
        "it has no end unless it is given one"
    );
}

#[test]
fn a_pinned_mac_is_needed_to_move() {
    let policy = Policy {
        pin_mac: true,
        ..DEFAULTS
    };
    let bound = created(1, 0, S, OTHER_MAC);
    let other = judge(Some(&bound), 2, Evidence::Data, true, &policy, S);
    assert_eq!(other, refused(Refusal::OtherMac));
    let own = judge(
        Some(&created(1, 0, S, MAC)),
        2,
        Evidence::Data,
        true,
        &policy,
        S,
    );
    assert_eq!(own, Verdict::Move);
    let by_hand = created(1, 0, S, [0; 6]);
    let first = judge(Some(&by_hand), 2, Evidence::Data, true, &policy, S);
    assert_eq!(first, Verdict::Move, "no MAC is known yet");
    let stays = judge(Some(&bound), 1, Evidence::Data, true, &policy, S);
    assert_eq!(stays, Verdict::Refresh);
}

#[test]
fn a_release_is_a_clean_record() {
    let mut binding = created(0, 0, S, MAC);
    for n in 1..=4 {
        binding = moved(&binding, n, &DEFAULTS, 10 * S, MAC);
    }
    assert_eq!(data(Some(&binding), 5, 20 * S), Verdict::Quarantine);
    let mut free = released(&quarantined(&binding));
    for n in 5..=8 {
        assert_eq!(data(Some(&free), n, 20 * S), Verdict::Move);
        free = moved(&free, n, &DEFAULTS, 20 * S, MAC);
    }
    assert_eq!(data(Some(&free), 9, 20 * S), Verdict::Quarantine);
}

#[test]
fn the_window_is_the_one_that_the_first_move_opens() {
    // As in RFC 7432 §15.1. So within 180 s there can be more moves than four: the last three of
    // one window and the four of the next.
    let (first, late) = (10 * S, 189 * S);
    let next = first + DEFAULTS.quarantine_window_ns;
    let mut binding = created(0, 0, S, MAC);
    let mut times = Vec::new();
    for (n, now_ns) in (1..).zip([first, late, late, late, next, next, next, next]) {
        assert_eq!(data(Some(&binding), n, now_ns), Verdict::Move, "move {n}");
        binding = moved(&binding, n, &DEFAULTS, now_ns, MAC);
        times.push(now_ns);
    }
    assert_eq!(data(Some(&binding), 9, next), Verdict::Quarantine);
    assert_eq!(times.iter().filter(|time| **time >= late).count(), 7);
}

#[test]
fn the_datapath_and_the_agent_agree_on_what_is_late() {
    for binding in bindings().into_iter().flatten() {
        for site in [1, 2, 3] {
            for now_ns in [0, S, 2 * S, 6 * S, 7 * S] {
                let datapath = is_late(&binding, site, DEFAULTS.hold_down_data_ns, now_ns);
                let agent = data(Some(&binding), site, now_ns) == Verdict::Late;
                assert_eq!(datapath, agent, "{binding:?} {site} {now_ns}");
            }
        }
    }
}

#[test]
fn every_refusal_has_a_name_of_its_own() {
    for (n, why) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(why as usize, n, "the order of the counters");
        let same = Refusal::ALL.iter().filter(|o| o.name() == why.name());
        assert_eq!(same.count(), 1);
    }
}
