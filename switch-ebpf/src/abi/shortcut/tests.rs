use super::*;
use crate::frame::Address;

const SEED: Seed = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
];

fn v4(number: u32, network: u32) -> BindingKey {
    BindingKey {
        network,
        address: Address::v4((0x0a00_0000 + number).to_be_bytes()),
    }
}

/// Addresses of two prefixes.
fn v6(number: u32, network: u32) -> BindingKey {
    let prefix = if number.is_multiple_of(2) { 0xfd } else { 0x20 };
    let mut octets = [prefix; 16];
    octets[12..].copy_from_slice(&number.to_be_bytes());
    BindingKey {
        network,
        address: Address::v6(octets),
    }
}

fn sought(key: &BindingKey) -> Sought {
    Sought::new(key, &SEED, lines(1024))
}

#[test]
fn there_is_room_for_half_as_many_again() {
    let lines = [0, 1, 5, 6, 1000, 1024, 65_536, 1_000_000].map(lines);
    assert_eq!(lines, [2, 2, 2, 2, 188, 192, 12_288, 187_500]);
    assert_eq!(super::lines(u32::MAX), 805_306_368);
}

/// Addresses that follow each other, as a site's do, and the same addresses in several networks.
#[test]
fn all_but_a_few_addresses_find_room() {
    const NETWORKS: u32 = 4;
    const EACH: u32 = 16_384;
    let lines = lines(NETWORKS * EACH);
    for key_of in [v4, v6] {
        let mut taken = vec![[false; WAYS]; lines as usize];
        let (mut first, mut elsewhere, mut nowhere) = (0, 0, 0);
        for network in 0..NETWORKS {
            for number in 0..EACH {
                let Sought { line, way, .. } = Sought::new(&key_of(number, network), &SEED, lines);
                let free = |line: u32, taken: &[[bool; WAYS]]| {
                    let ways = (0..WAYS).map(|more| (way + more) % WAYS);
                    ways.map(|way| (line, way))
                        .find(|(line, way)| !taken[*line as usize][*way])
                };
                let found = free(line, &taken).or_else(|| free(neighbour(line), &taken));
                match found {
                    Some(at) if at == (line, way) => first += 1,
                    Some((at, _)) if at != line => elsewhere += 1,
                    Some(_) => {}
                    None => nowhere += 1,
                }
                if let Some((line, way)) = found {
                    taken[line as usize][way] = true;
                }
            }
        }
        let all = NETWORKS * EACH;
        assert!(first > all * 6 / 10, "{first}");
        assert!(elsewhere < all / 20, "{elsewhere}");
        // A hundredth in the mean of all seeds.
        assert!(nowhere < all / 66, "{nowhere}");
    }
}

#[test]
fn it_is_among_the_lines() {
    for lines in [2, 6, 187_500, 805_306_368] {
        let seen = (0..1000).map(|n| Sought::new(&v4(n, 0), &SEED, lines));
        let (mut least, mut most) = (lines, 0);
        for Sought { line, way, .. } in seen {
            assert!(line < lines && way < WAYS && neighbour(line) < lines);
            (least, most) = (least.min(line), most.max(line));
        }
        assert!(least <= lines / 50 && most >= lines - 1 - lines / 50);
    }
}

#[test]
fn another_seed_is_another_order() {
    let other = SEED.map(|word| word.rotate_left(7));
    for key_of in [v4, v6] {
        let differs = |n| {
            let key = key_of(n, 0);
            sought(&key).line != Sought::new(&key, &other, lines(1024)).line
        };
        assert!((0..1024).filter(|n| differs(*n)).count() > 900);
    }
}

/// Network, site and address do not reach into each other's bits.
#[test]
fn it_leads_where_it_says_and_for_nobody_else() {
    let sites = [0, 7, MAX_SITES - 1];
    let keys: Vec<_> = [0, 3, MAX_NETWORKS - 1]
        .into_iter()
        .flat_map(|network| [v4(1, network), v4(u32::MAX / 2, network), v6(1, network)])
        .collect();
    for (mine, key) in keys.iter().enumerate() {
        for site in sites {
            let shortcut = Shortcut::to(&sought(key), site);
            for (other, key) in keys.iter().enumerate() {
                let wanted = (mine == other).then_some(site);
                assert_eq!(shortcut.leads(&sought(key)), wanted);
                assert_eq!(shortcut.is_of(&sought(key)), mine == other);
            }
        }
    }
}

#[test]
fn whose_it_is() {
    for key in [v4(1, 3), v6(1, 3)] {
        let sought = sought(&key);
        let open = Shortcut::to(&sought, 7);
        let closed = open.closed();
        assert!(open.is_of(&sought) && open.leads(&sought) == Some(7));
        assert!(closed.is_of(&sought) && closed.leads(&sought).is_none());
        assert_eq!(Shortcut(open.0 & Shortcut::CLOSED), closed);
        for nobodys in [
            open.leaving(),
            closed.leaving(),
            Shortcut::EMPTIED,
            Shortcut::FREE,
        ] {
            assert!(!nobodys.is_of(&sought) && nobodys.leads(&sought).is_none());
        }
        assert_ne!(open.leaving(), Shortcut::FREE);
        assert_ne!(closed, Shortcut::FREE);
    }
}
