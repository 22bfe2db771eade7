use std::time::{Duration, Instant};

use super::{
    Changes, Port, PortError, PortRole, Problem, Restored, Warning, apply, check, plan, prepare,
    restore,
};
use crate::net::{
    ethtool::{features, set_features},
    link,
    testing::{Elsewhere, attach_pass, in_new_netns, ip},
};

fn client(name: &str) -> Port {
    Port {
        name: name.into(),
        role: PortRole::Client,
    }
}

fn trunk(name: &str, clients: &[&str], service_tag: bool) -> Port {
    let clients = clients.iter().map(ToString::to_string).collect();
    Port {
        name: name.into(),
        role: PortRole::Trunk {
            clients,
            service_tag,
        },
    }
}

/// The texts of all problems.
fn problems(port: &Port) -> Vec<String> {
    check(port, &[])
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// What `ip` and ethtool see of a link, to compare before and after.
fn state(name: &str) -> (link::Link, Vec<crate::net::ethtool::Feature>) {
    let mut link = link::by_name(name).expect(name);
    link.carrier = false; // The peer's doing.
    (link, features(name).expect("features"))
}

fn on(name: &str, feature: &str) -> bool {
    let all = features(name).expect("features");
    all.iter().any(|f| f.name == feature && f.active)
}

#[test]
fn a_port_is_made_ready_and_put_back() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        let before = state("c0");
        let prepared = prepare(&client("c0"), &[]).expect("prepare");
        assert!(prepared.link.up && prepared.link.promiscuous);
        for feature in [
            "rx-vlan-hw-parse",
            "rx-vlan-stag-hw-parse",
            "tx-tcp-segmentation",
            "tx-tcp6-segmentation",
            "tx-tcp-mangleid-segmentation",
            "tx-tcp-ecn-segmentation",
        ] {
            assert!(!on("c0", feature), "{feature}");
        }
        assert!(
            on("c0", "tx-checksum-ip-generic"),
            "nothing else was changed"
        );
        let ready = state("c0");

        // A second time there is nothing to do, and with the older note nothing is forgotten.
        let mut again = prepare(&client("c0"), &[]).expect("again").changes;
        assert!(again.is_empty(), "{again:?}");
        assert_eq!(restore(&again).expect("nothing"), Restored::Done);
        assert_eq!(state("c0"), ready);
        let note = serde_json::to_string(&prepared.changes).expect("json");
        let note: Changes = serde_json::from_str(&note).expect("json");
        again.adopt(&note);
        assert_eq!(again, prepared.changes);

        assert_eq!(restore(&again).expect("restore"), Restored::Done);
        assert_eq!(state("c0"), before);
        assert_eq!(restore(&again).expect("twice"), Restored::Done);
        assert_eq!(state("c0"), before);
    });
}

#[test]
fn only_what_was_changed_is_put_back() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        ip("link set c0 up promisc on");
        set_features("c0", &[("rx-vlan-hw-parse", false)]).expect("off");
        let before = state("c0");
        let changes = prepare(&client("c0"), &[]).expect("prepare").changes;
        assert!(changes.was_up && !changes.promiscuous_set);
        assert!(
            changes
                .features
                .iter()
                .all(|(name, _)| name != "rx-vlan-hw-parse")
        );
        restore(&changes).expect("restore");
        assert_eq!(state("c0"), before);
    });
}

#[test]
fn a_port_that_is_renamed_or_gone_is_no_trouble() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        let before = features("c0").expect("features");
        let changes = prepare(&client("c0"), &[]).expect("prepare").changes;
        ip("link set c0 down");
        ip("link set c0 name c9");
        assert_eq!(restore(&changes).expect("renamed"), Restored::Done);
        assert_eq!(features("c9").expect("features"), before);
        assert!(!link::by_name("c9").expect("c9").promiscuous);

        // The same index and another link: not ours to touch.
        let mut other = changes.clone();
        (other.name, other.mac) = ("c1".into(), [2; 6]);
        assert_eq!(restore(&other).expect("another"), Restored::Gone);

        ip("link del c9");
        assert_eq!(restore(&changes).expect("gone"), Restored::Gone);
        assert!(matches!(apply(&changes), Err(PortError::Link(e)) if e.is_gone()));
    });
}

/// The kernel lets nobody change the segmentation of a veth whose other end has an XDP program.
#[test]
fn what_may_not_be_changed_back_is_told_and_the_rest_is_put_back() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        let before = state("c0");
        let changes = prepare(&client("c0"), &[]).expect("prepare").changes;
        let program = attach_pass(link::by_name("p0").expect("p0").index);
        let Restored::Except(kept) = restore(&changes).expect("restore") else {
            panic!("all was put back");
        };
        let said = kept.to_string();
        for words in [
            "port c0 is put back but for tx-tcp-segmentation, tx-tcp-ecn-segmentation, ",
            " which the switch had turned off: an XDP program at the other end of its veth pair does \
             not let them be changed now; once it has left, run `ethtool -K c0 tx-tcp-segmentation \
             on tx-tcp-ecn-segmentation on ",
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(state("c0").0, before.0);
        assert!(on("c0", "rx-vlan-hw-parse"));
        // While it was there from the start, there is nothing to change and to put back.
        let changes = prepare(&client("c0"), &[]).expect("prepare").changes;
        assert_eq!(changes.features.len(), 2, "{changes:?}");
        assert_eq!(restore(&changes).expect("restore"), Restored::Done);
        drop(program);
    });
}

/// A request that something else overrides is turned off as well, else it would come back.
#[test]
fn a_feature_that_only_sleeps_is_turned_off_too() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        set_features("c0", &[("tx-scatter-gather", false)]).expect("off");
        assert!(!on("c0", "tx-tcp-segmentation"));
        let changes = plan(&link::by_name("c0").expect("c0")).expect("plan");
        assert!(
            changes
                .features
                .contains(&("tx-tcp-segmentation".into(), true))
        );
        apply(&changes).expect("apply");
        set_features("c0", &[("tx-scatter-gather", true)]).expect("on");
        assert!(!on("c0", "tx-tcp-segmentation"));
        restore(&changes).expect("restore");
        assert!(on("c0", "tx-tcp-segmentation"));
    });
}

#[test]
fn problems_name_the_port_and_the_remedy() {
    in_new_netns(|| {
        assert_eq!(
            problems(&client("c0")),
            [
                "port c0 does not exist in this network namespace; there is no interface that could be a port"
            ]
        );
        ip("link add c0 type veth peer name p0");
        ip("link add br0 type bridge");
        ip("tuntap add tun7 mode tun");
        assert_eq!(
            problems(&client("c1")),
            ["port c1 does not exist in this network namespace; did you mean c0?"]
        );
        let other = &problems(&client("enp3s0"))[0];
        assert!(
            other.contains("there are: ") && other.contains("p0"),
            "{other}"
        );
        assert!(!other.contains("tun7") && !other.contains("lo,"), "{other}");
        assert!(problems(&client("lo"))[0].contains("is the loopback device"));
        assert!(problems(&client("tun7"))[0].contains("is not an Ethernet interface"));
        assert!(
            problems(&client("much-too-long-a-name"))[0].contains("cannot be an interface's name")
        );

        ip("link set c0 master br0");
        assert_eq!(
            problems(&client("c0")),
            [
                "port c0 is a member of br0, which takes its frames; take it out with `ip link set c0 nomaster`"
            ]
        );
        let before = state("c0");
        let error = prepare(&client("c0"), &[]).expect_err("a member");
        assert!(matches!(&error, PortError::Unusable { problems } if problems.len() == 1));
        assert_eq!(state("c0"), before, "nothing was changed");
    });
}

#[test]
fn a_trunk_must_carry_the_clients_frames() {
    in_new_netns(|| {
        ip("link add c0 mtu 1500 type veth peer name p0");
        ip("link add t0 mtu 1500 type veth peer name p1");
        assert_eq!(problems(&trunk("t0", &["c0"], false)).len(), 0);
        assert_eq!(
            problems(&trunk("t0", &["c0", "not-there"], true)),
            [
                "trunk port t0 has MTU 1500, too small for frames of client port c0 (MTU 1500, and 4 \
              for an 802.1ad tag); run `ip link set dev t0 mtu 1504`"
            ]
        );
        ip("link set dev t0 mtu 1504");
        assert_eq!(problems(&trunk("t0", &["c0"], true)).len(), 0);
        ip("link set dev c0 mtu 9000");
        assert_eq!(
            problems(&trunk("t0", &["c0"], false)),
            [
                "trunk port t0 has MTU 1504, too small for frames of client port c0 (MTU 9000); run \
              `ip link set dev t0 mtu 9000`"
            ]
        );
    });
}

#[test]
fn a_veth_peer_is_judged_when_it_can_be_seen() {
    in_new_netns(|| {
        ip("link add c0 up type veth peer name p0");
        let warnings = |port: &Port| check(port, &[]).warnings;
        let (c0, p0) = (|| "c0".into(), || "p0".into());
        let down = Warning::NoCarrier { port: c0() };
        let deaf = Warning::PeerTakesNothing {
            port: c0(),
            peer: p0(),
        };
        let hides = Warning::PeerHidesTags {
            port: c0(),
            peer: p0(),
        };
        let sums = Warning::PeerChecksums {
            port: c0(),
            peer: p0(),
        };
        assert_eq!(warnings(&client("c0")), [down, deaf.clone(), sums.clone()]);
        ip("link set p0 up mtu 1400");
        let short = Warning::PeerMtu {
            port: c0(),
            mtu: 1500,
            peer: p0(),
            peer_mtu: 1400,
        };
        assert_eq!(
            warnings(&trunk("c0", &[], false)),
            [short, deaf, hides, sums]
        );

        ip("link set p0 mtu 1500");
        set_features(
            "p0",
            &[
                ("rx-gro", true),
                ("tx-vlan-hw-insert", false),
                ("tx-checksum-ip-generic", false),
            ],
        )
        .expect("set");
        assert_eq!(warnings(&trunk("c0", &[], false)), []);

        set_features("p0", &[("rx-gro", false)]).expect("off");
        let elsewhere = Elsewhere::new();
        ip(&format!("link set p0 netns {}", elsewhere.pid()));
        assert_eq!(warnings(&client("c0")), [Warning::NoCarrier { port: c0() }]);
    });
}

#[test]
fn a_foreign_xdp_program_is_a_problem_and_ours_is_not() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        let c0 = link::by_name("c0").expect("c0");
        let program = attach_pass(c0.index);
        let report = check(&client("c0"), &[]);
        let [Problem::ForeignXdp { xdp, .. }] = report.problems.as_slice() else {
            panic!("{report:?}");
        };
        let text = report.problems[0].to_string();
        assert_eq!(
            text,
            format!(
                "port c0 already has an XDP program (id {}) that is not the switch's; remove it \
                 with `ip link set dev c0 xdp off`, or end the program that holds it if `bpftool \
                 link` shows it",
                xdp.prog_id
            )
        );
        assert!(check(&client("c0"), &[xdp.prog_id]).usable());
        drop(program);
        // A child that another test starts has a copy of the descriptor until it runs its program.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !check(&client("c0"), &[]).usable() {
            assert!(
                Instant::now() < deadline,
                "the link goes with its descriptor"
            );
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_taps_guest_may_leave_checksums_to_nobody() {
    in_new_netns(|| {
        ip("tuntap add tap0 mode tap");
        ip("tuntap add tap1 mode tap vnet_hdr");
        let warned = |name: &str, port: &Port| {
            assert!(link::by_name(name).expect(name).kind.as_deref() == Some("tun"));
            let warnings = check(port, &[]).warnings;
            let taps = warnings.into_iter().filter_map(|warning| match warning {
                Warning::TapOffloads { active, .. } => Some(active),
                _ => None,
            });
            taps.collect::<Vec<_>>()
        };
        assert!(warned("tap0", &client("tap0")).is_empty());
        assert_eq!(warned("tap1", &client("tap1")), [false]);
        let listener = Port {
            role: PortRole::Listener,
            ..client("tap1")
        };
        assert!(warned("tap1", &listener).is_empty());
    });
}
