//! A VM that migrates, and a network that delays, reorders, loses and doubles its frames.

use proptest::{collection::vec, prelude::*};
use switch_ebpf::frame::Evidence;

use super::world::{DEFAULTS, S, SITES, World};

/// Frames are on their way for less than the shorter hold-down.
const MOST_DELAY_NS: u64 = S - 1;

/// What the network does to a frame: when each copy arrives. None is a loss.
type Fate = Vec<u64>;

/// A stay at a site: how long, and frames sent at these times after its beginning. One at the very
/// beginning is not lost.
#[derive(Clone, Debug)]
struct Stay {
    site: u32,
    length_ns: u64,
    frames: Vec<(u64, Evidence, Fate)>,
}

fn fate() -> impl Strategy<Value = Fate> {
    let delay = 0..=MOST_DELAY_NS;
    prop_oneof![
        1 => Just(Vec::new()),
        6 => vec(delay.clone(), 1),
        2 => vec(delay, 2..4),
    ]
}

fn stay() -> impl Strategy<Value = Stay> {
    // Longer than the longer hold-down and a frame's way, so that a VM which goes back is heard.
    let length = 2 * DEFAULTS.hold_down_data_ns..60 * S;
    let class = prop_oneof![Just(Evidence::Data), Just(Evidence::Announce)];
    (0..SITES, length).prop_flat_map(move |(site, length_ns)| {
        let first = (class.clone(), 0..=MOST_DELAY_NS);
        let others = vec((0..length_ns, class.clone(), fate()), 0..20);
        (first, others).prop_map(move |((class, delay), mut frames)| {
            frames.push((0, class, vec![delay]));
            Stay {
                site,
                length_ns,
                frames,
            }
        })
    })
}

/// All arrivals of a journey, by time. The first is where it begins: the address is known.
fn arrivals(journey: &[Stay]) -> Vec<(u64, u32, Evidence)> {
    let mut begin_ns = 0;
    let mut arrivals = vec![(0, journey[0].site, Evidence::Data)];
    for stay in journey {
        for (sent_ns, class, fate) in &stay.frames {
            let arrive = |delay: &u64| (begin_ns + sent_ns + delay, stay.site, *class);
            arrivals.extend(fate.iter().map(arrive));
        }
        begin_ns += stay.length_ns;
    }
    arrivals.sort_by_key(|(at_ns, ..)| *at_ns);
    arrivals
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// A migration of a known address is one move: where the network keeps no frame longer
    /// than the shorter hold-down and the VM stays everywhere for longer than two hold-downs, the
    /// address moves exactly once for each migration, however its frames are reordered, lost and doubled,
    /// and is only ever bound to where the VM is or has just been.
    ///
    /// (Where the switch has not heard of the address, or not of a place that it was at meanwhile, it
    /// cannot tell the straggler from the news, and believes a straggler from there.)
    #[test]
    fn a_migration_is_one_move(journey in vec(stay(), 1..5)) {
        let mut world = World::new(DEFAULTS, [true; SITES as usize], 0);
        for (at_ns, site, class) in arrivals(&journey) {
            world.now_ns = at_ns;
            world.hear(site, class);
            let (mut begin_ns, mut places) = (0, Vec::new());
            for stay in &journey {
                if begin_ns <= at_ns {
                    places.push(stay.site);
                }
                begin_ns += stay.length_ns;
            }
            let bound = world.binding.expect("a binding").site;
            prop_assert!(places.iter().rev().take(2).any(|place| *place == bound));
        }
        let migrations = journey.windows(2).filter(|stays| stays[0].site != stays[1].site);
        prop_assert_eq!(world.moves.len(), migrations.count());
    }

    /// And the VM that goes on sending where it has arrived is found there: a frame that it sends
    /// a hold-down after its arrival, and that is not lost, binds it to where it is.
    #[test]
    fn the_last_place_is_found(journey in vec(stay(), 1..5)) {
        let mut world = World::new(DEFAULTS, [true; SITES as usize], 0);
        for (at_ns, site, class) in arrivals(&journey) {
            world.now_ns = at_ns;
            world.hear(site, class);
        }
        let last = journey.last().expect("a stay");
        let end_ns: u64 = journey.iter().map(|stay| stay.length_ns).sum();
        world.now_ns = world.now_ns.max(end_ns);
        world.hear(last.site, Evidence::Data);
        prop_assert_eq!(world.binding.expect("a binding").site, last.site);
    }
}
