//! A model of the datapath and the agent, and the handover in it under arbitrary schedules.

mod agent;
mod pace;
mod phases;
mod stage;
mod world;

use std::collections::HashMap;

use agent::Agent;
use proptest::{collection::vec, prelude::*};
use stage::{Choice, Order, Stage};
use switch_ebpf::{
    abi::{Binding, LEFT_UNKNOWN, PHASE_HANDOVER, PHASE_NEWCOMER, PHASE_SETTLED},
    rule,
};
use world::{ADDRESSES, CPUS, Frame, How, SITES, To, World};

/// What arrives at each CPU: address and site of each frame.
type Arrivals = Vec<Vec<(usize, u32)>>;

/// More records than any test has frames.
const ROOM: usize = 1_000;
/// Longer than any test.
const ENDLESS: u64 = 1_000_000;

fn arrivals() -> impl Strategy<Value = Arrivals> {
    // Mostly of one address and from two sites, so that they get into each other's way.
    let address = prop_oneof![2 => Just(0), 1 => 0..ADDRESSES];
    let site = prop_oneof![4 => Just(0), 4 => Just(1), 1 => 0..SITES];
    vec(vec((address, site), 0..10), CPUS)
}

fn hold_down() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(30), Just(ENDLESS)]
}

/// Who goes on when, a CPU's program or the agent, for one step or for many.
fn schedule() -> impl Strategy<Value = Vec<Choice>> {
    schedule_with(Just(Choice::Agent(1)), 0)
}

/// The same, and `other` in so many cases out of a hundred.
fn schedule_with(
    other: impl Strategy<Value = Choice> + 'static,
    weight: u32,
) -> impl Strategy<Value = Vec<Choice>> {
    let steps = || prop_oneof![Just(1_usize), 1..12_usize, 1..50_usize];
    let choice = prop_oneof![
        60 - weight => (0..CPUS, steps()).prop_map(|(cpu, steps)| Choice::Cpu(cpu, steps)),
        40 => steps().prop_map(Choice::Agent),
        weight => other,
    ];
    vec(choice, 0..100)
}

fn order() -> impl Strategy<Value = Choice> {
    let order = prop_oneof![
        (0..ADDRESSES, 0..SITES).prop_map(|(address, site)| Order::Bind(address, site)),
        (0..ADDRESSES).prop_map(Order::Unbind),
        (0..ADDRESSES, 0..SITES).prop_map(|(address, site)| Order::Move(address, site)),
    ];
    order.prop_map(Choice::Operator)
}

/// Plays the schedule to its end, and then lets everybody go on in turn until all is quiet: the
/// frames have left and every handover has settled.
fn play(world: World, schedule: Vec<Choice>) -> Result<World, TestCaseError> {
    let stage = Stage::new(world, schedule);
    Agent::run(&stage).map_err(TestCaseError::fail)?;
    let world = stage.world.into_inner();
    let mut bindings = world.bindings.iter().flatten();
    prop_assert!(bindings.all(|binding| binding.phase == PHASE_SETTLED));
    prop_assert!(!world.contradicted);
    Ok(world)
}

/// Every frame that arrived has left exactly once, or is one of those known to be lost.
fn each_once(arrivals: &Arrivals, world: &World) -> Result<(), TestCaseError> {
    let mut times: HashMap<Frame, usize> = HashMap::new();
    let left = world.departures.iter().map(|(frame, _)| frame);
    for frame in left.chain(&world.lost) {
        *times.entry(*frame).or_default() += 1;
    }
    let arrived: usize = arrivals.iter().map(Vec::len).sum();
    prop_assert_eq!(times.len(), arrived);
    prop_assert!(times.values().all(|times| *times == 1), "{:?}", times);
    Ok(())
}

/// Frames of an address from one site that arrived at one CPU have left in the order of their
/// arrival, but for those that had to overtake because a ring was full. (Frames from two sites have
/// come by two ways; there is no order between them.)
fn in_order(world: &World) -> Result<(), TestCaseError> {
    let flow = |frame: &Frame| (frame.cpu, frame.address, frame.site);
    for (n, (first, how)) in world.departures.iter().enumerate() {
        for (then, then_how) in &world.departures[n..] {
            prop_assert!(
                flow(first) != flow(then) || first.number <= then.number || *how == How::Overtaking,
                "{first:?} ({how:?}) has overtaken {then:?} ({then_how:?})"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Frames of new and of moving addresses leave once each and in order, whoever goes on when, and
    /// in the end every handover has settled.
    #[test]
    fn every_frame_once_and_in_order(
        arrivals in arrivals(),
        schedule in schedule(),
        hold_down in hold_down(),
    ) {
        let world = play(World::new(&arrivals, hold_down, ROOM), schedule)?;
        each_once(&arrivals, &world)?;
        in_order(&world)?;
        prop_assert!(world.lost.is_empty());
    }

    /// So they do when an operator binds and moves addresses in the middle of a handover and forgets
    /// others, so that a handover is abandoned and its slot is another address's.
    #[test]
    fn whatever_the_operator_orders(
        arrivals in arrivals(),
        schedule in schedule_with(order(), 10),
        hold_down in hold_down(),
    ) {
        let world = play(World::new(&arrivals, hold_down, ROOM), schedule)?;
        each_once(&arrivals, &world)?;
        in_order(&world)?;
        prop_assert!(world.lost.is_empty());
    }

    /// So they do when the agent stops and another takes over, who finds bindings in a handover and
    /// frames in the ring.
    #[test]
    fn whenever_the_agent_is_restarted(
        arrivals in arrivals(),
        schedule in schedule_with(prop_oneof![Just(Choice::Restart), order()], 10),
        hold_down in hold_down(),
    ) {
        let world = play(World::new(&arrivals, hold_down, ROOM), schedule)?;
        each_once(&arrivals, &world)?;
        in_order(&world)?;
        prop_assert!(world.lost.is_empty());
    }

    /// An agent that is killed, at whatever step, takes with it the frames that it had read and not
    /// yet sent. The others leave once each and in order, and the handovers settle.
    #[test]
    fn whenever_the_agent_is_killed(
        arrivals in arrivals(),
        schedule in schedule_with(prop_oneof![Just(Choice::Kill), order()], 10),
        hold_down in hold_down(),
    ) {
        let world = play(World::new(&arrivals, hold_down, ROOM), schedule)?;
        each_once(&arrivals, &world)?;
        in_order(&world)?;
    }

    /// A full ring costs order, of the frames that find it full, and frames that nobody has decided
    /// on; nothing is doubled, nothing else is lost, and the handovers settle.
    #[test]
    fn however_small_the_ring(
        arrivals in arrivals(),
        schedule in schedule_with(order(), 5),
        hold_down in hold_down(),
        room in 1..6_usize,
    ) {
        let world = play(World::new(&arrivals, hold_down, room), schedule)?;
        each_once(&arrivals, &world)?;
        in_order(&world)?;
    }
}

/// A program that read a newcomer's binding goes on after that was settled and the address has moved.
/// Frames of the new queue are none of the old: its own does not go to the newcomers, where those
/// behind it would not wait for it. (At random it takes many thousand schedules to come to this.)
#[test]
fn a_program_that_saw_a_newcomer_waits_for_no_later_queue() {
    let at = |site, phase, left| Binding {
        phase,
        left,
        ..rule::created(site, 0, 1, [2; 6])
    };
    let (first, second) = (vec![(0, 0)], vec![(0, 0)]);
    let mut world = World::new(&[first, second, Vec::new()], 0, ROOM);
    world.bindings[0] = Some(at(1, PHASE_NEWCOMER, 0));
    (0..3).for_each(|_| world.step(0));
    world.bindings[0] = Some(at(0, PHASE_HANDOVER, LEFT_UNKNOWN));
    (0..10).for_each(|_| world.step(1));
    (0..10).for_each(|_| world.step(0));
    let cpus: Vec<_> = std::iter::from_fn(|| world.next_record(To::Misses))
        .map(|record| record.frame.cpu)
        .collect();
    assert_eq!(cpus, [1, 0]);
    assert!(!world.is_readable(To::Newcomers));
}
