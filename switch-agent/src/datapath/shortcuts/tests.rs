use aya::maps::IterableMap as _;
use switch_ebpf::frame::Address;

use super::*;

/// `BPF_F_MMAPABLE` of linux/bpf.h.
const MAPPABLE: u32 = 1 << 10;
const LINES: u32 = 8;
const PLACES: u32 = LINES * WAYS as u32;
const CPUS: u32 = 2;
const SITE: u32 = 5;

fn shortcuts() -> Shortcuts {
    let lines: Array<MapData, [u64; WAYS]> =
        Array::create(LINES, MAPPABLE).expect("a map; these tests need root");
    let owners: Array<MapData, Owner> = Array::create(PLACES, MAPPABLE).expect("a map");
    let traffic: Array<MapData, ShortcutTraffic> =
        Array::create(CPUS * PLACES, MAPPABLE).expect("a map");
    Shortcuts {
        lines: Mapped::open(lines.map()).expect("map it"),
        owners: Mapped::open(owners.map()).expect("map it"),
        traffic: Mapped::open(traffic.map()).expect("map it"),
        seed: [1, 3, 5, 7, 9, 11].map(|word: u64| word.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    }
}

fn v4(number: u32) -> BindingKey {
    BindingKey {
        network: 2,
        address: Address::v4((0x0a00_0000 + number).to_be_bytes()),
    }
}

fn v6(number: u32) -> BindingKey {
    let mut octets = [0xfd; 16];
    octets[12..].copy_from_slice(&number.to_be_bytes());
    BindingKey {
        network: 2,
        address: Address::v6(octets),
    }
}

fn find(shortcuts: &Shortcuts, key: &BindingKey) -> Option<Place> {
    shortcuts.of(key).expect("read").map(|found| found.place)
}

fn place_of(shortcuts: &Shortcuts, key: &BindingKey) -> Place {
    find(shortcuts, key).expect("it has one")
}

fn leads(shortcuts: &Shortcuts, key: &BindingKey, site: u32) -> bool {
    let found = shortcuts.of(key).expect("read");
    found.expect("it has one").leads_to(site)
}

#[test]
fn it_is_opened_and_closed_and_stays_the_address_s() {
    let mut shortcuts = shortcuts();
    for key in [v4(1), v6(1)] {
        shortcuts.close(&key).expect("nothing to close");
        assert_eq!(find(&shortcuts, &key), None);
        assert!(shortcuts.lead(&key, SITE).expect("write"));
        let place = place_of(&shortcuts, &key);
        assert!(leads(&shortcuts, &key, SITE) && !leads(&shortcuts, &key, SITE + 1));
        shortcuts.close(&key).expect("close");
        assert!(!leads(&shortcuts, &key, SITE));
        assert!(shortcuts.lead(&key, SITE + 1).expect("write"));
        assert_eq!(place_of(&shortcuts, &key), place);
        assert!(leads(&shortcuts, &key, SITE + 1));
        let other_network = BindingKey { network: 1, ..key };
        assert_eq!(find(&shortcuts, &other_network), None);
    }
}

#[test]
fn what_goes_by_it_is_the_sum_of_the_cpus_and_is_gone_with_it() {
    let mut shortcuts = shortcuts();
    for (key, other) in [(v4(1), v4(2)), (v6(1), v6(2))] {
        for key in [&key, &other] {
            assert!(shortcuts.lead(key, SITE).expect("write"));
        }
        let (place, others) = (place_of(&shortcuts, &key), place_of(&shortcuts, &other));
        let rows: Vec<_> = shortcuts.rows(place).collect();
        assert_eq!(rows, [place.0, place.0 + PLACES]);
        let counted = |many| ShortcutTraffic {
            up_packets: many,
            up_bytes: 2 * many,
            down_packets: 3 * many,
            down_bytes: 4 * many,
        };
        let others_rows = shortcuts.rows(others).map(|row| (row, 77));
        for (row, many) in rows.into_iter().zip([1, 10]).chain(others_rows) {
            let write = |_| counted(many);
            shortcuts.traffic.change(row, write).expect("count");
        }
        let heard = |owner| Owner {
            down_last_ns: 99,
            ..owner
        };
        shortcuts.owners.change(place.0, heard).expect("hear");
        let all = FlowTraffic {
            up_packets: 11,
            up_bytes: 22,
            down_packets: 33,
            down_bytes: 44,
            down_last_ns: 99,
        };
        assert_eq!(shortcuts.sum(&key).expect("read"), all);

        assert_eq!(shortcuts.leave(&key).expect("leave"), Some(place));
        assert_eq!(find(&shortcuts, &key), None);
        let is_taken = |shortcuts: &Shortcuts| {
            let mut taken = shortcuts.taken().map(|place| place.expect("read"));
            taken.any(|taken| taken == place)
        };
        assert!(is_taken(&shortcuts));
        // Until it is free nobody has it, not even who had it before.
        shortcuts.empty(place).expect("empty");
        assert!(is_taken(&shortcuts));
        shortcuts.free(place).expect("free");
        assert!(!is_taken(&shortcuts));
        assert!(shortcuts.lead(&key, SITE).expect("write"));
        assert_eq!(place_of(&shortcuts, &key), place);
        assert_eq!(shortcuts.sum(&key).expect("read"), FlowTraffic::default());
        assert_eq!(shortcuts.sum(&other).expect("read").up_packets, 2 * 77);
    }
}

/// Nothing but room is missing: those who have a shortcut keep it, each its own.
#[test]
fn there_are_as_many_as_there_is_room_for() {
    let mut shortcuts = shortcuts();
    let keys: Vec<_> = (0..300)
        .flat_map(|number| [v4(number), v6(number)])
        .collect();
    let mut with = Vec::new();
    for key in &keys {
        if shortcuts.lead(key, SITE).expect("write") {
            with.push(place_of(&shortcuts, key).index());
        }
    }
    with.sort_unstable();
    let all: Vec<_> = (0..shortcuts.len()).collect();
    assert_eq!(with, all);
    let found = keys.iter().filter(|key| find(&shortcuts, key).is_some());
    assert_eq!(found.count(), shortcuts.len());
}

/// Of an IPv6 address only a part of its hash is in the shortcut: another one with the same part is another.
#[test]
fn an_ipv6_address_is_not_taken_for_another_of_the_same_hash() {
    let mut shortcuts = shortcuts();
    // Without a seed all addresses of a network have the same hash.
    shortcuts.seed = Seed::default();
    let keys: Vec<_> = (0..2 * WAYS as u32).map(v6).collect();
    for (site, key) in (0..).zip(&keys) {
        assert_eq!(find(&shortcuts, key), None);
        assert!(shortcuts.lead(key, site).expect("write"));
    }
    for (site, key) in (0..).zip(&keys) {
        assert!(leads(&shortcuts, key, site));
    }
    shortcuts.close(&keys[3]).expect("close");
    shortcuts.leave(&keys[5]).expect("leave");
    for (site, key) in (0..).zip(&keys) {
        let open = find(&shortcuts, key).is_some() && leads(&shortcuts, key, site);
        assert_eq!(open, site != 3 && site != 5);
    }
    assert!(!shortcuts.lead(&v6(99), SITE).expect("no room"));
}
