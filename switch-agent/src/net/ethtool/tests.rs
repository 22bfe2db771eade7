use super::{EthtoolError, Feature, driver, features, request_features, set_features};
use crate::net::testing::{in_new_netns, ip};

fn feature(device: &str, name: &str) -> Feature {
    let all = features(device).expect("features");
    all.into_iter().find(|f| f.name == name).expect(name)
}

#[test]
fn features_are_read_and_set() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        assert_eq!(driver("c0").expect("driver"), "veth");
        let before = feature("c0", "rx-vlan-hw-parse");
        assert!(before.active && before.requested && !before.fixed());
        let off = [("rx-vlan-hw-parse", false), ("tx-tcp-segmentation", false)];
        set_features("c0", &off).expect("off");
        for (name, _) in off {
            assert!(feature("c0", name).settled(false), "{name}");
        }
        let kept = request_features("c0", &[("rx-vlan-hw-parse", true)]).expect("on again");
        assert_eq!(kept, [] as [&str; 0]);
        assert_eq!(feature("c0", "rx-vlan-hw-parse"), before);
    });
}

#[test]
fn what_cannot_be_set_is_told() {
    in_new_netns(|| {
        ip("link add c0 type veth peer name p0");
        // veth has no LRO: off is fine, on is impossible.
        assert!(feature("c0", "rx-lro").fixed());
        set_features("c0", &[("rx-lro", false)]).expect("it is off");
        let fixed = set_features("c0", &[("rx-vlan-hw-parse", false), ("rx-lro", true)]);
        assert_eq!(
            fixed.expect_err("fixed").to_string(),
            "port c0 has rx-lro fixed off, but it must be on: its driver refuses `ethtool -K \
             c0 rx-lro on`; use another port or driver"
        );
        assert!(
            feature("c0", "rx-vlan-hw-parse").active,
            "nothing was changed"
        );
        // TSO needs scatter-gather (netdev_fix_features in net/core/dev.c).
        set_features("c0", &[("tx-tcp-segmentation", false)]).expect("off");
        set_features("c0", &[("tx-scatter-gather", false)]).expect("off");
        let tso = [("tx-tcp-segmentation", true)];
        let overridden = set_features("c0", &tso).expect_err("needs tx-scatter-gather");
        assert!(
            matches!(overridden, EthtoolError::NotChanged { .. }),
            "{overridden}"
        );
        // The request is taken, and what nobody may ask for is told.
        let wanted = [tso[0], ("rx-lro", true), ("rx-nonsense", true)];
        let kept = request_features("c0", &wanted).expect("ask");
        assert_eq!(kept, ["rx-lro", "rx-nonsense"]);
        assert!(feature("c0", "tx-tcp-segmentation").requested);
        let unknown = set_features("c0", &[("rx-nonsense", true)]).expect_err("unknown");
        assert!(matches!(unknown, EthtoolError::Unknown { .. }), "{unknown}");
        assert!(
            driver("gone")
                .expect_err("gone")
                .to_string()
                .contains("No such device")
        );
        assert!(features("a-name-that-is-too-long").is_err());
    });
}
