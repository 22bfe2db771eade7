//! Both ends of the control socket over a real one, with a switch behind it
//! that only remembers what it was told.

use std::{
    io::Read,
    net::IpAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{fake::Running, socket::bind_socket_in, *};
use crate::{
    api::{
        AnyEvent, Event, EventKind, Order, Response,
        tests::{flow, stats},
    },
    types::{NetworkName, SiteName, VmAddress},
};

fn event(n: u32) -> Event {
    Event::now(
        EventKind::Created,
        NetworkName::default(),
        IpAddr::V4(n.into()),
    )
}

fn address(text: &str) -> VmAddress {
    text.parse().expect("an address")
}

fn site(text: &str) -> SiteName {
    text.parse().expect("a site")
}

/// The number of the event in a response.
fn number(response: Result<Response, ClientError>) -> u32 {
    match response.expect("a response") {
        Response::Event {
            event:
                AnyEvent::Switch(Event {
                    address: IpAddr::V4(address),
                    ..
                }),
        } => address.into(),
        other => panic!("no event: {other:?}"),
    }
}

#[test]
fn questions_are_answered() {
    let mut running = Running::start();
    let client = running.client();
    assert_eq!(
        client.flows().expect("flows"),
        [flow("c0", "dc1=t0:1"), flow("c0", "dc2=t0:2")]
    );
    assert_eq!(client.stats().expect("counters"), stats().into());
    assert_eq!(client.events(false).expect("events").count(), 0);
    running.stop();
}

#[test]
fn orders_are_carried_out_or_refused_with_the_reason() {
    let running = Running::start();
    let client = running.client();
    let bind = Order::Bind {
        address: address("10.0.0.5"),
        site: site("dc1"),
        pinned: true,
    };
    client.order(bind).expect("bound");
    client
        .order(Order::Move {
            address: address("fd00::5"),
            site: site("dc2"),
        })
        .expect("moved");
    assert_eq!(
        *running.fake.told.lock().expect("no panic"),
        ["bind 10.0.0.5 dc1 true", "move fd00::5 dc2"]
    );
    let error = client
        .order(Order::Release {
            address: address("10.0.0.5"),
        })
        .expect_err("refused");
    assert_eq!(error.to_string(), "10.0.0.5 is not quarantined");
}

#[test]
fn a_panic_behind_a_request_ends_that_request_only() {
    let mut running = Running::start();
    let error = running
        .client()
        .order(Order::Unbind {
            address: address("10.0.0.5"),
        })
        .expect_err("cut off");
    assert!(matches!(error, ClientError::CutOff { .. }), "{error}");
    assert_eq!(running.client().stats().expect("counters"), stats().into());
    running.stop();
}

#[test]
fn following_has_no_gap_and_nothing_twice() {
    let running = Running::start();
    let fake = Arc::clone(&running.fake);
    (0..100).for_each(|n| fake.journal.record(event(n)));
    let writing = thread::spawn(move || {
        for n in 100..600 {
            fake.journal.record(event(n));
        }
    });
    let answer = running.client().events(true).expect("events");
    let seen: Vec<u32> = answer.take(600).map(number).collect();
    writing.join().expect("the writer");
    assert_eq!(seen, (0..600).collect::<Vec<_>>());
}

#[test]
fn a_slow_follower_is_told_what_it_missed() {
    let running = Running::start();
    let mut answer = running.client().events(true).expect("events");
    running.fake.journal.record(event(0));
    assert_eq!(answer.next().map(number), Some(0));
    // More than the socket's buffers and the journal hold.
    (1..=20_000).for_each(|n| running.fake.journal.record(event(n)));
    let (mut seen, mut missed) = (0, 0);
    for response in answer {
        match response.expect("a response") {
            Response::Event { .. } => seen += 1,
            Response::Missed { events } => missed += events,
            other => panic!("{other:?}"),
        }
        if seen + missed == 20_000 {
            break;
        }
    }
    assert!(missed > 0);
}

#[test]
fn the_end_of_the_switch_is_the_end_of_following() {
    let mut running = Running::start();
    running.fake.journal.record(event(1));
    let mut answer = running.client().events(true).expect("events");
    assert_eq!(answer.next().map(number), Some(1));
    running.stop();
    assert!(answer.next().is_none(), "an end, not an error");
    assert!(!running.path().exists(), "the socket goes with the switch");
    let error = running.client().flows().expect_err("gone");
    assert!(error.is_not_running());
    assert_eq!(
        error.to_string(),
        format!(
            "no switch is running as instance default (no socket at {}); start one with `switch-agent run`",
            running.path().display()
        )
    );
}

#[test]
fn bad_requests_get_an_error_each() {
    let mut running = Running::start();
    for (request, answer) in [
        (&b"\n"[..], "the request is wrong: "),
        (b"flows\n", "the request is wrong: "),
        (b"\xff\xfe\n", "the request is wrong: "),
        (b"{\"instance\":\"default\"}\n", "missing field `request`"),
        (
            b"{\"instance\":\"default\",\"request\":\"reboot\"}\n",
            "unknown variant `reboot`",
        ),
        (
            b"{\"instance\":\"default\",\"request\":\"flows\"}",
            "the request has no end",
        ),
        (
            br#"{"instance":"default","request":"order","order":{"verb":"unbind","address":"::"}}
"#,
            ":: cannot be a virtual machine's address",
        ),
        (
            b"{\"instance\":\"other\",\"request\":\"flows\"}\n",
            "this is the socket of instance default, and the request is for instance other",
        ),
        (&[b'x'; 64 * 1024], "the request is longer than 65536 bytes"),
    ] {
        let text = running.raw(request);
        assert!(
            text.starts_with("{\"response\":\"error\"") && text.contains(answer),
            "{request:?}: {text}"
        );
    }
    assert_eq!(running.raw(b""), "", "nothing asked, nothing said");
    assert_eq!(running.client().stats().expect("counters"), stats().into());
    running.stop();
}

#[test]
fn a_silent_connection_is_closed() {
    let running = Running::start();
    let mut stream = UnixStream::connect(running.path()).expect("connected");
    let start = Instant::now();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(
        (4..10).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
    assert!(answer.contains("no request within 5 s"), "{answer}");
}

#[test]
fn the_socket_is_its_owners_alone() {
    let running = Running::start();
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("a file")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&running.path()), 0o600);
    let directory = running.directory.path().join("new");
    let _socket = bind_socket_in(&directory, &InstanceName::default()).expect("a socket");
    assert_eq!(mode(&directory), 0o700);
}

#[test]
fn an_instance_runs_once() {
    let running = Running::start();
    let error =
        bind_socket_in(running.directory.path(), &InstanceName::default()).expect_err("running");
    assert_eq!(
        error.to_string(),
        format!(
            "instance default is already running (pid {}); stop it first, or give this one another --instance",
            std::process::id()
        )
    );
    let other = "other".parse().expect("a name");
    bind_socket_in(running.directory.path(), &other).expect("another instance");
    assert_eq!(running.client().stats().expect("counters"), stats().into());
}

#[test]
fn a_dead_instances_socket_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let instance: InstanceName = "x".parse().expect("a name");
    let path = socket_path(directory.path(), &instance);
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let error = Client::new_in(directory.path(), instance.clone())
        .flows()
        .expect_err("dead");
    assert!(error.is_not_running());
    assert_eq!(
        error.to_string(),
        format!(
            "no switch is running as instance x (the socket at {} is left from one that died); \
             start one with `switch-agent --instance x run`",
            path.display()
        )
    );
    let socket = bind_socket_in(directory.path(), &instance).expect("replaced");
    assert_eq!(socket.path(), path);
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn agents_that_start_together_do_not_both_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let instance = InstanceName::default();
    drop(
        std::os::unix::net::UnixListener::bind(socket_path(directory.path(), &instance))
            .expect("a socket"),
    );
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let (directory, instance) = (directory.path().to_owned(), instance.clone());
            thread::spawn(move || bind_socket_in(&directory, &instance))
        })
        .collect();
    let started: Vec<_> = starting
        .into_iter()
        .map(|start| start.join().expect("no panic"))
        .collect();
    assert_eq!(started.iter().filter(|socket| socket.is_ok()).count(), 1);
}

#[test]
fn a_reader_that_hangs_does_not_keep_the_switch_from_ending() {
    let mut running = Running::start();
    let answer = running.client().events(true).expect("events");
    (0..50_000).for_each(|n| running.fake.journal.record(event(n)));
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    running.stop();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "a follower that reads nothing must not hold it back"
    );
    drop(answer);
}
