//! How fast the frames of an address may come for its handover to end.

use switch_ebpf::abi::PHASE_SETTLED;

use super::{
    ENDLESS, ROOM,
    agent::Agent,
    stage::Stage,
    world::{CPUS, Frame, World},
};

/// Turns of the agent until the handover of a new address has settled, with one frame every so many
/// turns and no end of them.
fn turns_to_settle(every: usize) -> Option<usize> {
    let nothing = vec![Vec::new(); CPUS];
    let stage = Stage::new(World::new(&nothing, ENDLESS, ROOM), Vec::new());
    let mut agent = Agent::new(&stage);
    agent.adopt(&stage).expect("nobody kills it");
    (0..1_000).find(|turn| {
        if turn % every == 0 {
            stage.world.borrow_mut().arrive(Frame {
                cpu: 0,
                number: turn / every % 100,
                address: 0,
                site: 0,
            });
        }
        agent.turn(&stage).expect("nobody kills it");
        let binding = stage.world.borrow().bindings[0];
        binding.is_some_and(|binding| binding.phase == PHASE_SETTLED)
    })
}

#[test]
fn an_address_that_goes_on_sending_settles_within_a_few_turns() {
    for every in 2..12 {
        let turns = turns_to_settle(every);
        assert!(
            turns.is_some_and(|turns| turns < 12),
            "every {every}: {turns:?}"
        );
    }
}

#[test]
fn without_a_gap_as_long_as_a_turn_it_stays_with_the_agent() {
    // Known, and the price of order: no frame ever finds that all before it have left.
    assert_eq!(turns_to_settle(1), None);
}
