//! The phases of one handover, step by step, and how long it takes.

use std::{cell::Cell, convert::Infallible};

use switch_ebpf::{
    abi::{BindingKey, PHASE_HANDOVER, PHASE_NEWCOMER},
    frame::Address,
};

use super::super::{Begin, Datapath, Handovers, ReadTo, TURN, Write};

const SLOT: u32 = 7;
/// Frames numbered before it all begins.
const BASE: u64 = 100;

fn key() -> BindingKey {
    BindingKey {
        network: 0,
        address: Address::v4([10, 0, 0, 5]),
    }
}

fn begin(phase: u32, queued: u64) -> Begin {
    Begin {
        key: key(),
        phase,
        queued,
        evidence_ns: 5,
    }
}

fn publish(left: u64) -> Option<Write> {
    let (key, phase) = (key(), PHASE_HANDOVER);
    Some(Write::Publish { key, phase, left })
}

/// A datapath that is told what it says: two CPUs.
struct Told {
    runs: Cell<[u64; 2]>,
    queued: Cell<u64>,
}

impl Datapath for Told {
    type Error = Infallible;

    fn runs(&self) -> Result<Vec<u64>, Infallible> {
        Ok(self.runs.get().to_vec())
    }

    fn queued(&self, slot: u32, _: u32) -> Result<u64, Infallible> {
        assert!(slot >= SLOT);
        Ok(self.queued.get())
    }
}

/// A handover that has just begun, a datapath in which no program runs, and a clock.
struct Begun {
    handovers: Handovers,
    datapath: Told,
    now_ns: u64,
}

impl Begun {
    /// That of an address that moves.
    fn new() -> Self {
        Self::in_phase(PHASE_HANDOVER)
    }

    fn in_phase(phase: u32) -> Self {
        let mut handovers = Handovers::default();
        handovers.begin(SLOT, begin(phase, BASE));
        Self {
            handovers,
            datapath: Told {
                runs: Cell::new([4, 6]),
                queued: Cell::new(BASE),
            },
            now_ns: 1_000,
        }
    }

    /// A turn that finds the rings empty.
    fn turn(&mut self) -> Option<Write> {
        let empty_at_ns = self.now_ns + 1;
        self.turn_reading_to(empty_at_ns)
    }

    /// A turn that reads the rings up to the records of a time.
    fn turn_reading_to(&mut self, read_to_ns: u64) -> Option<Write> {
        self.turn_reading(ReadTo {
            misses_ns: read_to_ns,
            newcomers_ns: read_to_ns,
        })
    }

    fn turn_reading(&mut self, read_to: ReadTo) -> Option<Write> {
        self.now_ns += 10;
        let Self {
            handovers,
            datapath,
            now_ns,
        } = self;
        let Ok(writes) = handovers.advance(datapath, *now_ns, read_to);
        assert!(writes.len() <= 1);
        writes.first().copied()
    }

    /// Turns until something is to be written, at most ten.
    fn turns(&mut self) -> Option<Write> {
        (0..10).find_map(|_| self.turn())
    }
}

#[test]
fn an_idle_address_settles_by_itself() {
    let mut begun = Begun::new();
    assert_eq!(begun.turns(), publish(BASE));
    assert!(!begun.handovers.is_empty());
    assert_eq!(begun.turns(), Some(Write::Settle(key())));
    assert!(begun.handovers.is_empty());
    assert_eq!(begun.turns(), None);
}

#[test]
fn nothing_is_published_while_a_program_runs_that_could_have_read_the_maps_before() {
    let mut begun = Begun::new();
    begun.datapath.runs.set([4, 7]);
    assert_eq!(begun.turns(), None);
    // Another CPU's programs do not matter, nor those that begin later.
    begun.datapath.runs.set([5, 7]);
    assert_eq!(begun.turns(), None);
    begun.datapath.runs.set([5, 9]);
    assert_eq!(begun.turns(), publish(BASE));
}

#[test]
fn nothing_is_published_before_the_ring_was_read_to_where_the_programs_ended() {
    let mut begun = Begun::new();
    let before_ns = begun.now_ns;
    for _ in 0..10 {
        assert_eq!(begun.turn_reading_to(before_ns), None);
    }
    assert_eq!(begun.turn(), publish(BASE));
}

#[test]
fn a_move_waits_for_misses_only() {
    let newcomers_ns = 0;
    let mut begun = Begun::new();
    let writes = (0..20).filter_map(|_| {
        let misses_ns = begun.now_ns + 1;
        begun.turn_reading(ReadTo {
            misses_ns,
            newcomers_ns,
        })
    });
    assert!(
        writes.eq([publish(BASE), Some(Write::Settle(key()))]
            .into_iter()
            .flatten())
    );
}

#[test]
fn a_newcomer_waits_for_both_rings() {
    let mut begun = Begun::in_phase(PHASE_NEWCOMER);
    let before_ns = begun.now_ns;
    for [misses_ns, newcomers_ns] in [[before_ns, u64::MAX], [u64::MAX, before_ns]] {
        for _ in 0..10 {
            let read_to = ReadTo {
                misses_ns,
                newcomers_ns,
            };
            assert_eq!(begun.turn_reading(read_to), None);
        }
    }
    let (key, phase, left) = (key(), PHASE_NEWCOMER, BASE);
    assert_eq!(begun.turns(), Some(Write::Publish { key, phase, left }));
    assert_eq!(begun.turns(), Some(Write::Settle(key)));
}

#[test]
fn ever_so_many_newcomers_cost_a_move_no_turn() {
    let mut begun = Begun::new();
    let newcomers = 10 * TURN as u32;
    for slot in 0..newcomers {
        let of_slot = begin(PHASE_NEWCOMER, BASE);
        begun.handovers.begin(SLOT + 1 + slot, of_slot);
    }
    // They settle as well, after so many turns more.
    let (mut settled, mut turns, mut moved_in) = (0, 0, None);
    while !begun.handovers.is_empty() {
        begun.now_ns += 10;
        let (now_ns, read_to_ns) = (begun.now_ns, begun.now_ns - 5);
        let read_to = ReadTo {
            misses_ns: read_to_ns,
            newcomers_ns: read_to_ns,
        };
        let Ok(writes) = begun.handovers.advance(&begun.datapath, now_ns, read_to);
        assert!(writes.len() <= TURN + 1);
        turns += 1;
        settled += writes
            .iter()
            .filter(|write| matches!(write, Write::Settle(_)))
            .count();
        moved_in = moved_in.or((settled > 0).then_some((turns, settled)));
    }
    assert_eq!(moved_in, Some((4, 1)));
    assert_eq!((settled, turns), (newcomers as usize + 1, 40));
}

#[test]
fn what_a_binding_stands_on_is_known_while_it_is_new() {
    let mut begun = Begun::new();
    assert_eq!(begun.handovers.evidence_ns(SLOT), Some(5));
    assert_eq!(begun.handovers.evidence_ns(SLOT + 1), None);
    begun.handovers.begin(
        SLOT,
        Begin {
            evidence_ns: 9,
            ..begin(PHASE_NEWCOMER, BASE)
        },
    );
    assert_eq!(begun.handovers.evidence_ns(SLOT), Some(9));
    begun.handovers.abandon(SLOT);
    assert_eq!(begun.handovers.evidence_ns(SLOT), None);
}

#[test]
fn a_record_from_before_the_counters_were_read_proves_nothing() {
    // The program that ran ends between the reading of the clock and that of the counters, and its
    // record may be behind one that was stamped in between: that one must not count.
    let mut begun = Begun::new();
    begun.datapath.runs.set([5, 6]);
    assert_eq!(begun.turn(), None);
    begun.datapath.runs.set([6, 6]);
    assert_eq!(begun.turn(), None, "it has ended");
    let in_between_ns = begun.now_ns + 1;
    assert_eq!(begun.turn_reading_to(in_between_ns), None);
    assert_eq!(begun.turn_reading_to(in_between_ns), None);
    assert_eq!(begun.turn(), publish(BASE));
}

#[test]
fn it_settles_when_every_numbered_frame_has_left() {
    let mut begun = Begun::new();
    begun.datapath.queued.set(BASE + 3);
    begun.handovers.left(PHASE_HANDOVER, SLOT, BASE);
    begun.handovers.left(PHASE_HANDOVER, SLOT, BASE + 2);
    // Another ring has other numbers.
    begun.handovers.left(PHASE_NEWCOMER, SLOT, BASE + 2);
    assert_eq!(
        begun.turns(),
        publish(BASE + 1),
        "one from before it began does not count"
    );
    assert_eq!(begun.turns(), None, "two are on their way");
    begun.handovers.left(PHASE_HANDOVER, SLOT, BASE + 1);
    assert_eq!(begun.turns(), publish(BASE + 2));
    begun.handovers.left(PHASE_HANDOVER, SLOT, BASE + 3);
    assert_eq!(begun.turns(), publish(BASE + 3));
    assert_eq!(begun.turns(), Some(Write::Settle(key())));
}

#[test]
fn it_does_not_settle_while_a_program_runs_that_could_have_read_an_older_number() {
    let mut begun = Begun::new();
    assert_eq!(begun.turns(), publish(BASE));
    begun.datapath.runs.set([5, 6]);
    assert_eq!(begun.turns(), None);
    // It has numbered a frame meanwhile.
    begun.datapath.queued.set(BASE + 1);
    begun.datapath.runs.set([6, 6]);
    assert_eq!(begun.turns(), None);
    begun.handovers.left(PHASE_HANDOVER, SLOT, BASE + 1);
    assert_eq!(begun.turns(), publish(BASE + 1));
    assert_eq!(begun.turns(), Some(Write::Settle(key())));
}

#[test]
fn beginning_again_begins_at_the_beginning() {
    let mut begun = Begun::new();
    assert_eq!(begun.turns(), publish(BASE));
    begun.datapath.queued.set(BASE + 5);
    begun.handovers.begin(SLOT, begin(PHASE_HANDOVER, BASE + 5));
    assert_eq!(begun.turns(), publish(BASE + 5));
    assert_eq!(begun.turns(), Some(Write::Settle(key())));
}

#[test]
fn what_is_abandoned_writes_nothing() {
    let mut begun = Begun::new();
    begun.handovers.abandon(SLOT);
    assert!(begun.handovers.is_empty());
    begun.handovers.left(PHASE_HANDOVER, SLOT, BASE + 1);
    assert_eq!(begun.turns(), None);
}
