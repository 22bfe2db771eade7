//! `events`: what moved, was refused, was created; at a gateway, what was heard and done about it.

use std::io::{self, Write};

use super::until_closed;
use crate::{
    api::{AnyEvent, Event, GatewayEvent, Response, time_text},
    cli::EventsArgs,
    control::Client,
};

/// Shows events, and goes on if told so; what could not be shown is said on
/// `err`.
pub fn events(
    client: &Client,
    args: &EventsArgs,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<()> {
    let mut answer = client.events(args.follow)?;
    let mut printed = if args.json { Ok(()) } else { print_header(out) };
    while printed.is_ok() {
        printed = match answer.next().transpose()? {
            None => break,
            Some(Response::Event { event }) => print_event(&event, args.json, out),
            Some(Response::Missed { events }) => {
                writeln!(
                    err,
                    "{events} events missed: they came faster than they were read"
                )
            }
            Some(other) => return Err(client.strange(&other).into()),
        };
    }
    Ok(until_closed(printed)?)
}

/// Columns cannot be as wide as what is still to come: these fit IPv4 and
/// usual names.
fn print_line(cells: [&str; 6], out: &mut impl Write) -> io::Result<()> {
    let [time, event, address, site, evidence, detail] = cells;
    let line =
        format!("{time:<24}  {event:<11}  {address:<15}  {site:<14}  {evidence:<8}  {detail}");
    writeln!(out, "{}", line.trim_end())
}

fn print_header(out: &mut impl Write) -> io::Result<()> {
    print_line(
        ["TIME", "EVENT", "ADDRESS", "SITE", "EVIDENCE", "DETAIL"],
        out,
    )
}

/// Prints an event as a line of text or of JSON.
pub fn print_event(event: &AnyEvent, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, event)?;
        writeln!(out)?;
    } else {
        match event {
            AnyEvent::Switch(event) => print_switch_event(event, out)?,
            AnyEvent::Gateway(event) => print_gateway_event(event, out)?,
        }
    }
    out.flush()
}

fn print_gateway_event(event: &GatewayEvent, out: &mut impl Write) -> io::Result<()> {
    let detail: Vec<String> = [
        event.mac.map(|mac| format!("mac {mac}")),
        event.port.as_ref().map(|port| format!("port {port}")),
        event.reason.clone(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let address = event.address.map(|address| address.to_string());
    print_line(
        [
            &time_text(event.time).to_string(),
            event.event.as_str(),
            address.as_deref().unwrap_or("-"),
            "-",
            event.announcement.as_deref().unwrap_or("-"),
            &detail.join(", "),
        ],
        out,
    )
}

fn print_switch_event(event: &Event, out: &mut impl Write) -> io::Result<()> {
    let site = match (&event.from, &event.to) {
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (Some(site), None) | (None, Some(site)) => site.to_string(),
        (None, None) => "-".to_owned(),
    };
    let detail: Vec<String> = [
        event.reason.clone(),
        event.mac.map(|mac| format!("mac {mac}")),
        event.old_mac.map(|mac| format!("old mac {mac}")),
        event.learn_us.map(|time| format!("learned in {time} us")),
        event.gap_ms.map(|time| format!("gap {time} ms")),
    ]
    .into_iter()
    .flatten()
    .collect();
    print_line(
        [
            &time_text(event.time).to_string(),
            event.event.as_str(),
            &event.address.to_string(),
            &site,
            event.evidence.map_or("-", |evidence| evidence.as_str()),
            &detail.join(", "),
        ],
        out,
    )
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{
        api::{
            EventKind,
            tests::{announced, moved},
        },
        types::NetworkName,
    };

    #[test]
    fn lines() {
        let refused = Event {
            time: moved().time,
            to: Some("dc2".parse().expect("a name")),
            reason: Some("unauthorised".to_owned()),
            ..Event::now(
                EventKind::Refused,
                NetworkName::default(),
                IpAddr::from([10, 0, 0, 77]),
            )
        };
        let mut out = Vec::new();
        print_header(&mut out).expect("printed");
        for event in [moved().into(), refused.into(), announced().into()] {
            print_event(&event, false, &mut out).expect("printed");
        }
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\
TIME                      EVENT        ADDRESS          SITE            EVIDENCE  DETAIL
2026-01-01T00:00:00.123Z  moved        10.0.0.5         dc1 -> dc2      data      learned in 85 us, gap 61 ms
2026-01-01T00:00:00.123Z  refused      10.0.0.77        dc2             -         unauthorised
2026-01-01T00:00:00.123Z  announced    10.0.0.5         -               rarp      mac 52:54:00:12:34:56
"
        );
    }
}
