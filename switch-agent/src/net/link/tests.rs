use super::{LinkError, by_index, by_name, list, set_promiscuous, set_up};
use crate::net::testing::{Elsewhere, in_new_netns, ip};

#[test]
fn links_are_found_and_changed() {
    in_new_netns(|| {
        ip("link add c0 mtu 1400 type veth peer name p0");
        let c0 = by_name("c0").expect("c0");
        assert_eq!((c0.mtu, c0.up, c0.promiscuous), (1400, false, false));
        assert_eq!(c0.kind.as_deref(), Some("veth"));
        assert!(c0.ethernet && !c0.loopback && c0.mac != [0; 6]);
        let p0 = by_name("p0").expect("p0");
        assert_eq!(c0.tied_to, Some(p0.index));
        assert_eq!(by_index(c0.index).expect("by index"), c0);
        ip("link property add dev c0 altname uplink");
        assert_eq!(by_name("uplink").expect("by its other name"), c0);

        set_up(&c0, true).expect("up");
        set_promiscuous(&c0, true).expect("promiscuous");
        let now = by_index(c0.index).expect("again");
        assert!(now.up && now.promiscuous);
        set_promiscuous(&c0, false).expect("not promiscuous");
        set_up(&c0, false).expect("down");
        assert_eq!(by_index(c0.index).expect("again"), c0);

        let names: Vec<_> = list().expect("list").into_iter().map(|l| l.name).collect();
        assert!(
            names.contains(&"lo".into()) && names.contains(&"p0".into()),
            "{names:?}"
        );
    });
}

#[test]
fn masters_and_missing_links_are_told() {
    in_new_netns(|| {
        ip("link add br0 type bridge");
        ip("link add c0 type veth peer name p0");
        ip("link set c0 master br0");
        let br0 = by_name("br0").expect("br0");
        assert_eq!(br0.kind.as_deref(), Some("bridge"));
        assert_eq!(by_name("c0").expect("c0").master, Some(br0.index));

        assert!(matches!(by_name("c1"), Err(LinkError::NotFound { .. })));
        assert!(matches!(by_index(9999), Err(LinkError::NotFound { .. })));
        assert!(matches!(by_index(0), Err(LinkError::NotFound { .. })));
        assert!(matches!(
            by_name("a-name-that-is-too-long"),
            Err(LinkError::BadName { .. })
        ));
        let c0 = by_name("c0").expect("c0");
        ip("link del c0");
        let gone = set_up(&c0, true).expect_err("gone");
        assert!(gone.is_gone(), "{gone}");
        assert_eq!(
            gone.to_string(),
            "cannot set port c0 up through netlink: No such device (os error 19)"
        );
    });
}

#[test]
fn a_peer_in_another_namespace_is_not_mistaken_for_a_link_here() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        let sleeper = Elsewhere::new();
        ip(&format!("link set p0 netns {}", sleeper.pid()));
        assert_eq!(by_name("c0").expect("c0").tied_to, None);
    });
}

#[tokio::test(flavor = "current_thread")]
async fn the_blocking_calls_work_inside_a_runtime() {
    assert!(by_name("lo").expect("lo").loopback);
}
