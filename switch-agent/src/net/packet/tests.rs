use std::time::Duration;

use super::{PacketSocket, SendError, Sent};
use crate::net::{
    ethtool, link,
    testing::{in_new_netns, ip},
};

fn open(port: &str) -> PacketSocket {
    PacketSocket::open(&link::by_name(port).expect(port)).expect("socket")
}

/// A pair c0 – p0, both up, IPv6 quiet so that nothing else is sent.
fn pair() {
    ip("link add c0 type veth peer name p0");
    for end in ["c0", "p0"] {
        ip(&format!("link set {end} addrgenmode none"));
        ip(&format!("link set {end} up"));
    }
}

/// A frame of `length` bytes whose bytes 12 and 13 are `ethertype`.
fn frame(length: usize, ethertype: u16) -> Vec<u8> {
    let mut frame = vec![0; length];
    frame[..6].fill(0xff);
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    frame
}

fn counts(s: &Sent) -> (usize, usize, usize) {
    (s.sent, s.too_big, s.failed)
}

/// Packets that p0 received, as netlink counts them.
fn received() -> u64 {
    let out = std::process::Command::new("ip")
        .args(["-s", "-j", "link", "show", "p0"])
        .output()
        .expect("ip");
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("json");
    json[0]["stats64"]["rx"]["packets"].as_u64().expect("count")
}

#[test]
fn frames_go_out_in_batches() {
    in_new_netns(|| {
        pair();
        let mut socket = open("c0");
        let one = frame(100, 0x0800);
        let sent = socket.send_batch(std::iter::repeat_n(one.as_slice(), 150));
        assert_eq!(counts(&sent), (150, 0, 0), "{sent:?}");
        assert!(sent.error.is_none());
        assert_eq!(received(), 150);
        assert_eq!(counts(&socket.send_batch([])), (0, 0, 0));
    });
}

#[test]
fn a_frame_that_is_refused_does_not_stop_the_others() {
    in_new_netns(|| {
        pair();
        let mut socket = open("c0");
        // MTU 1500: 1514 bytes, and 4 more only behind an 802.1Q tag.
        let cases = [
            (1514, 0x0800),
            (1515, 0x0800),
            (1518, 0x8100),
            (1519, 0x8100),
            (1518, 0x88a8),
            (10, 0),
            (60, 0x0806),
        ];
        let frames = cases.map(|(length, ethertype)| {
            let mut frame = frame(length.max(14), ethertype);
            frame.truncate(length);
            frame
        });
        let sent = socket.send_batch(frames.iter().map(Vec::as_slice));
        assert_eq!(counts(&sent), (3, 3, 1), "{sent:?}");
        assert_eq!(sent.skipped, [1, 3, 4, 5]);
        assert!(matches!(
            sent.error,
            Some(SendError::Malformed { length: 10, .. })
        ));
        assert_eq!(received(), 3);
    });
}

#[test]
fn down_up_and_gone_are_told_apart() {
    in_new_netns(|| {
        pair();
        let c0 = link::by_name("c0").expect("c0");
        let mut socket = open("c0");
        let one = frame(60, 0x0800);
        let frames = [one.as_slice(); 3];
        ip("link set c0 down");
        let sent = socket.send_batch(frames);
        assert_eq!(counts(&sent), (0, 0, 3));
        assert!(
            matches!(sent.error, Some(SendError::Down { .. })),
            "{sent:?}"
        );
        ip("link set c0 up");
        assert_eq!(counts(&socket.send_batch(frames)), (3, 0, 0));
        ip("link del c0");
        let sent = socket.send_batch(frames);
        assert_eq!(counts(&sent), (0, 0, 3));
        assert!(
            matches!(sent.error, Some(SendError::Gone { .. })),
            "{sent:?}"
        );
        assert!(matches!(
            PacketSocket::open(&c0),
            Err(SendError::Gone { .. })
        ));
    });
}

#[test]
fn a_device_that_takes_nothing_is_given_up_after_the_patience() {
    in_new_netns(|| {
        pair();
        ip("link set p0 down"); // No carrier: the veth drops and says so (NET_XMIT_DROP).
        let mut socket = open("c0");
        socket.set_patience(Duration::from_millis(20));
        let one = frame(60, 0x0800);
        let before = std::time::Instant::now();
        let sent = socket.send_batch([one.as_slice(); 70]);
        assert_eq!(counts(&sent), (0, 0, 70), "{sent:?}");
        assert!(
            matches!(sent.error, Some(SendError::Full { .. })),
            "{sent:?}"
        );
        assert!(before.elapsed() >= Duration::from_millis(20));
        assert!(before.elapsed() < Duration::from_secs(1));

        // Then it is not waited for again, until it takes frames.
        socket.set_patience(Duration::from_secs(60));
        assert_eq!(counts(&socket.send_batch([one.as_slice(); 70])), (0, 0, 70));
        assert!(before.elapsed() < Duration::from_secs(30));
        ip("link set p0 up");
        let sent = socket.send_batch([one.as_slice(); 70]);
        assert_eq!(counts(&sent), (70, 0, 0), "{sent:?}");
    });
}

#[test]
fn a_device_that_is_full_for_a_while_loses_nothing() {
    in_new_netns(|| {
        pair();
        ip("link set p0 down");
        let mut socket = open("c0");
        socket.set_patience(Duration::from_secs(10));
        std::thread::scope(|scope| {
            // A thread starts in the namespace of the one that spawns it.
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                ip("link set p0 up");
            });
            let one = frame(60, 0x0800);
            let sent = socket.send_batch([one.as_slice(); 200]);
            assert_eq!(counts(&sent), (200, 0, 0), "{sent:?}");
        });
        assert_eq!(received(), 200);
    });
}

/// The ring of a veth's peer has 256 places; a burst far beyond that must still arrive whole.
#[test]
fn a_burst_larger_than_the_ring_is_not_lost() {
    in_new_netns(|| {
        pair();
        ethtool::set_features("p0", &[("rx-gro", true)]).expect("NAPI on the receiving end");
        let tso = [
            "tx-tcp-segmentation",
            "tx-tcp6-segmentation",
            "tx-tcp-ecn-segmentation",
            "tx-tcp-mangleid-segmentation",
        ];
        ethtool::set_features("c0", &tso.map(|name| (name, false))).expect("TSO off");
        let mut socket = open("c0");
        let one = frame(100, 0x0800);
        let sent = socket.send_batch(std::iter::repeat_n(one.as_slice(), 20_000));
        assert_eq!(counts(&sent), (20_000, 0, 0), "{sent:?}");
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while received() < 20_000 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(received(), 20_000);
    });
}
