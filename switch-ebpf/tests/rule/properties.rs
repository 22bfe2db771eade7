//! What holds whatever evidence arrives, in whatever order, lost or doubled, and whatever the
//! operator does.

use proptest::{collection::vec, prelude::*};
use switch_ebpf::{
    abi::{Binding, NO_SITE, STATE_LEARNED, STATE_QUARANTINED, STATE_STATIC},
    frame::Evidence,
    rule::{self, Policy, Refusal, Verdict},
};

use super::world::{DEFAULTS, S, SITES, Step, World, claim, class, policy, step, world};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 0..60)
}

/// The most moves by evidence of which the first is at most `window_ns` before the last.
fn most_moves_within(times: &[u64], window_ns: u64) -> usize {
    let within = |(n, first): (usize, &u64)| {
        let rest = &times[n..];
        rest.iter().filter(|at| **at - first < window_ns).count()
    };
    times.iter().enumerate().map(within).max().unwrap_or(0)
}

/// Any binding that a map could hold, also one that no agent would write.
fn any_binding() -> impl Strategy<Value = Binding> {
    let site = || prop_oneof![0..SITES, Just(NO_SITE)];
    let time = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    let moves = prop_oneof![0..6_u16, Just(u16::MAX), any::<u16>()];
    (site(), site(), 0..3_u8, time(), time(), moves).prop_map(
        |(site, previous_site, state, moved_at_ns, window_start_ns, window_moves)| Binding {
            site,
            previous_site,
            state,
            moved_at_ns,
            window_start_ns,
            window_moves,
            ..Binding::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Never a black hole: whatever happened before, a VM that keeps sending from one place that may
    /// claim its address is bound there at the latest one hold-down after the last evidence from
    /// elsewhere or the last order, unless it is pinned or quarantined elsewhere, or unknown where
    /// only moves are learned.
    #[test]
    fn never_a_black_hole(
        mut world in world(),
        before in steps(),
        site in 0..SITES,
        class in class(),
        gaps in vec(0..3 * S, 0..6),
    ) {
        before.into_iter().for_each(|step| world.step(step));
        let bound_by_ns = world.now_ns + world.policy.hold_down_ns(class);
        for gap in gaps {
            if world.now_ns + gap < bound_by_ns {
                world.now_ns += gap;
                world.hear(site, class);
            }
        }
        world.now_ns = bound_by_ns;
        world.hear(site, class);
        if world.refuses(site).is_none() {
            let binding = world.binding.expect("a binding");
            prop_assert_eq!(binding.site, site);
        }
    }

    /// Never oscillation beyond the quarantine's limit: of the moves by evidence, fewer than
    /// `quarantine_moves` are within the window that the first of them opens; a move after its end
    /// opens the next. Hence within any time as long as a window there are fewer than twice as many
    /// less one. Only the operator, by `release` or `unbind`, cleans the record.
    #[test]
    fn never_more_moves_in_a_window_than_the_limit(mut world in world(), steps in steps()) {
        let limit = world.policy.quarantine_moves as usize;
        let window_ns = world.policy.quarantine_window_ns;
        for step in steps {
            world.step(step);
            let times = world.moves.as_slice();
            let mut rest = times;
            while let Some(start_ns) = rest.first().copied() {
                let end = rest.partition_point(|at_ns| at_ns - start_ns < window_ns);
                prop_assert!(end < limit, "{:?}", times);
                rest = &rest[end..];
            }
            prop_assert!(most_moves_within(times, window_ns) < 2 * (limit - 1), "{:?}", times);
        }
    }

    /// Quarantine comes exactly with the move that is one too many, and it is the only way there.
    #[test]
    fn quarantine_comes_with_one_move_too_many(mut world in world(), steps in steps()) {
        for step in steps {
            let before = world.binding;
            if let Step::Hear(site, class) = step {
                let verdict = world.hear(site, class);
                let open = before.is_some_and(|bound| {
                    bound.state != STATE_QUARANTINED
                        && bound.window_moves > 0
                        && world.now_ns - bound.window_start_ns < world.policy.quarantine_window_ns
                });
                let counted = before.map_or(0, |bound| if open { bound.window_moves } else { 0 });
                match verdict {
                    Verdict::Quarantine => {
                        prop_assert_eq!(counted + 1, world.policy.quarantine_moves);
                    }
                    Verdict::Move => prop_assert!(counted + 1 < world.policy.quarantine_moves),
                    _ => {}
                }
            } else {
                world.step(step);
                let held = |binding: Option<Binding>| {
                    binding.is_some_and(|bound| bound.state == STATE_QUARANTINED)
                };
                prop_assert!(held(before) || !held(world.binding), "{:?}", step);
            }
        }
    }

    /// Never a binding outside the allow-list: evidence binds an address only to a site that may
    /// claim it, and evidence from another site changes nothing.
    #[test]
    fn evidence_never_binds_where_it_may_not(mut world in world(), steps in steps()) {
        for step in steps {
            let before = world.binding;
            if let Step::Hear(site, class) = step {
                let verdict = world.hear(site, class);
                if !world.may(site) {
                    prop_assert_eq!(verdict, Verdict::Refuse(Refusal::Unauthorised));
                    prop_assert_eq!(world.binding, before);
                }
                let at = |binding: Option<Binding>| binding.map(|bound| bound.site);
                prop_assert!(at(world.binding) == at(before) || world.may(site));
            } else {
                world.step(step);
            }
        }
    }

    /// A static binding never moves by evidence, and a quarantined one does not until it is
    /// released or its time is over: only an order changes them.
    #[test]
    fn evidence_never_changes_what_is_held(mut world in world(), steps in steps()) {
        for step in steps {
            let before = world.binding;
            world.step(step);
            let held = before.is_some_and(|bound| {
                bound.state != STATE_LEARNED
                    && !rule::is_quarantine_over(&bound, &world.policy, world.now_ns)
            });
            if held && matches!(step, Step::Hear(..)) {
                prop_assert_eq!(world.binding, before);
            }
        }
    }

    /// The binding changes where the verdict says so and nowhere else: a late frame comes from the
    /// previous site or the one before, within the hold-down of its class after the move, and changes
    /// nothing; nor does a refreshing or a refused one. A quarantine changes the state and since when
    /// only.
    #[test]
    fn the_verdict_says_what_changes(mut world in world(), steps in steps()) {
        for step in steps {
            let before = world.binding;
            let Step::Hear(site, class) = step else {
                world.step(step);
                continue;
            };
            let verdict = world.hear(site, class);
            let after = world.binding;
            match verdict {
                Verdict::Late => {
                    let bound = before.expect("a binding");
                    let earlier = u32::from(bound.earlier_site).wrapping_sub(1);
                    prop_assert!(bound.previous_site == site || earlier == site);
                    let since_ns = world.now_ns - bound.moved_at_ns;
                    prop_assert!(since_ns < world.policy.hold_down_ns(class));
                    prop_assert_eq!(after, before);
                }
                Verdict::Refresh => {
                    prop_assert_eq!(before.expect("a binding").site, site);
                    prop_assert_eq!(after, before);
                }
                Verdict::Refuse(_) => prop_assert_eq!(after, before),
                Verdict::Create => prop_assert!(before.is_none()),
                Verdict::Move => {
                    let (before, after) = (before.expect("a binding"), after.expect("a binding"));
                    prop_assert_ne!(before.site, site);
                    prop_assert_eq!((after.site, after.previous_site), (site, before.site));
                    prop_assert_eq!(after.moved_at_ns, world.now_ns);
                }
                Verdict::Quarantine => {
                    let held = before.map(|bound| Binding {
                        state: STATE_QUARANTINED,
                        window_start_ns: world.now_ns,
                        ..bound
                    });
                    prop_assert_eq!(after, held);
                }
            }
        }
    }

    /// A straggler after a move never flips it back: within the hold-down, evidence from the site
    /// that the address has just left moves nothing, however often it is doubled and whoever moved
    /// the address.
    #[test]
    fn a_straggler_never_flips_a_move(
        mut world in world(),
        before in steps(),
        class in class(),
        waits in vec(0..2 * S, 0..8),
    ) {
        before.into_iter().for_each(|step| world.step(step));
        let Some(bound) = world.binding else {
            return Ok(());
        };
        for wait in waits {
            world.now_ns += wait;
            if bound.previous_site != NO_SITE
                && world.now_ns - bound.moved_at_ns < world.policy.hold_down_ns(class)
            {
                world.hear(bound.previous_site, class);
                prop_assert_eq!(world.binding, Some(bound));
            }
        }
    }

    /// No time, count or site that a map or a clock could hold panics or overflows, and a clock that
    /// has gone back does not make a straggler a move.
    #[test]
    fn no_value_breaks_it(
        binding in any_binding(),
        policy in policy(),
        huge: bool,
        site in 0..SITES,
        class in class(),
        now_ns in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
    ) {
        let policy = if huge {
            Policy {
                hold_down_data_ns: u64::MAX,
                hold_down_announce_ns: u64::MAX,
                quarantine_window_ns: u64::MAX,
                quarantine_ns: u64::MAX,
                quarantine_moves: u16::MAX,
                ..policy
            }
        } else {
            policy
        };
        let claim = claim(site, class);
        let verdict = rule::judge(Some(&binding), &claim, &policy, now_ns);
        let moved = rule::moved(&binding, &claim, &policy, now_ns);
        prop_assert_eq!((moved.site, moved.previous_site), (site, binding.site));
        prop_assert!(moved.window_moves > 0);
        let _ = rule::moved_by_operator(&binding, site, now_ns);
        let back = now_ns < binding.moved_at_ns && binding.previous_site == site;
        if back && policy.hold_down_ns(class) > 0 {
            prop_assert!(!matches!(verdict, Verdict::Move | Verdict::Quarantine));
        }
    }

    /// A clock that goes back and forth holds a binding, and never moves or creates one wrongly: the
    /// other properties of evidence hold all the same.
    #[test]
    fn a_clock_that_goes_back_breaks_nothing(
        mut world in world(),
        steps in vec((step(), proptest::option::of(any::<u64>())), 0..60),
    ) {
        for (step, clock) in steps {
            let before = world.binding;
            world.now_ns = clock.unwrap_or(world.now_ns);
            world.step(step);
            if let (Step::Hear(site, _), Some(before), Some(after)) = (step, before, world.binding) {
                prop_assert!(after.site == before.site || after.site == site);
                prop_assert!(before.state != STATE_STATIC || after == before);
            }
        }
    }
}

#[test]
fn the_model_reaches_every_verdict() {
    // A property over a model that never gets anywhere would hold as well.
    let mut world = World::new(DEFAULTS, [true, true, true, false], S);
    let hear = |world: &mut World, site| world.hear(site, Evidence::Data);
    assert_eq!(hear(&mut world, 0), Verdict::Create);
    assert_eq!(hear(&mut world, 0), Verdict::Refresh);
    assert_eq!(hear(&mut world, 3), Verdict::Refuse(Refusal::Unauthorised));
    for site in [1, 2, 0, 1] {
        world.step(Step::Wait(DEFAULTS.hold_down_data_ns));
        assert_eq!(hear(&mut world, site), Verdict::Move);
    }
    assert_eq!(hear(&mut world, 0), Verdict::Late);
    assert_eq!(hear(&mut world, 2), Verdict::Late, "it was there before");
    world.step(Step::Wait(DEFAULTS.hold_down_data_ns));
    assert_eq!(hear(&mut world, 2), Verdict::Quarantine);
    assert_eq!(hear(&mut world, 2), Verdict::Refuse(Refusal::Quarantined));
    world.step(Step::Release);
    assert_eq!(hear(&mut world, 2), Verdict::Move);
    world.step(Step::Bind(2, true));
    world.step(Step::Wait(DEFAULTS.hold_down_data_ns));
    assert_eq!(hear(&mut world, 0), Verdict::Refuse(Refusal::Pinned));
    assert_eq!(world.refuses(0), Some(Refusal::Pinned));
}
