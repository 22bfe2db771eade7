//! The commands against a switch that does nothing.

use std::io::{self, Write};

use super::*;
use crate::{
    api::tests::{flow, moved},
    cli::{AddressArgs, BindArgs, EventsArgs, ExplainArgs, FlowsArgs, MoveArgs, StatsArgs},
    control::{Backend, Client, fake::Running},
};

/// What a command prints.
fn printed(command: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>) -> String {
    let mut out = Vec::new();
    command(&mut out).expect("done");
    String::from_utf8(out).expect("text")
}

fn nothing_pinned<T>() -> anyhow::Result<Option<T>> {
    Ok(None)
}

/// The other end of `| head`.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_command_asks_and_shows() {
    let running = Running::start();
    let client = running.client();
    let address = "10.0.0.5".parse().expect("an address");
    let site = || "dc2".parse().expect("a site");
    running.fake.journal().record(moved());

    let text = printed(|out| flows(&client, &FlowsArgs { json: false }, nothing_pinned, out));
    assert_eq!(text.lines().count(), 5, "{text}");
    let text = printed(|out| stats(&client, &StatsArgs { json: true }, nothing_pinned, out));
    assert!(text.starts_with("{\"misses\":7,"), "{text}");
    let text = printed(|out| {
        explain(
            &client,
            &ExplainArgs {
                address,
                json: true,
            },
            out,
        )
    });
    assert!(
        text.starts_with("{\"network\":\"default\",\"address\":\"10.0.0.5\","),
        "{text}"
    );
    let args = EventsArgs {
        follow: false,
        json: true,
    };
    let text = printed(|out| events(&client, &args, out, &mut Vec::new()));
    assert_eq!(
        text,
        format!("{}\n", serde_json::to_string(&moved()).expect("JSON"))
    );
    let args = BindArgs {
        address,
        site: site(),
        pinned: true,
    };
    assert_eq!(
        printed(|out| bind(&client, &args, out)),
        "10.0.0.5 is at dc2 and stays there\n"
    );
    assert_eq!(
        printed(|out| move_(
            &client,
            &MoveArgs {
                address,
                site: site()
            },
            out
        )),
        "10.0.0.5 is at dc2\n"
    );
    let error = release(&client, &AddressArgs { address }, &mut Vec::new()).expect_err("refused");
    assert_eq!(error.to_string(), "10.0.0.5 is not quarantined");
}

#[test]
fn without_an_agent_the_pinned_maps_are_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = Client::new_in(directory.path(), "x".parse().expect("a name"));
    let args = FlowsArgs { json: false };
    let pinned = || Ok(Some(vec![flow("c0", "dc1=t0:1")]));
    assert_eq!(
        printed(|out| flows(&client, &args, pinned, out))
            .lines()
            .count(),
        3
    );
    let error = flows(&client, &args, nothing_pinned, &mut Vec::new()).expect_err("nothing there");
    assert!(
        error
            .to_string()
            .starts_with("no switch is running as instance x"),
        "{error}"
    );
    let unreadable = || Err(anyhow::anyhow!("another layout"));
    let error = flows(&client, &args, unreadable, &mut Vec::new()).expect_err("unreadable");
    assert_eq!(error.to_string(), "another layout");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let running = Running::start();
    let client = running.client();
    let closed = &mut Closed;
    flows(&client, &FlowsArgs { json: false }, nothing_pinned, closed).expect("quiet");
    flows(&client, &FlowsArgs { json: true }, nothing_pinned, closed).expect("quiet");
    stats(&client, &StatsArgs { json: false }, nothing_pinned, closed).expect("quiet");
    for json in [false, true] {
        running.fake.journal().record(moved());
        events(
            &client,
            &EventsArgs { follow: true, json },
            closed,
            &mut Vec::new(),
        )
        .expect("quiet");
    }
}
