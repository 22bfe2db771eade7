//! `events`: what moved, was refused, was created.

use std::io::{self, Write};

use super::until_closed;
use crate::{
    api::{Event, Response, time_text},
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
pub fn print_event(event: &Event, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, event)?;
        writeln!(out)?;
        return out.flush();
    }
    let site = match (&event.from, &event.to) {
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (Some(site), None) | (None, Some(site)) => site.to_string(),
        (None, None) => "-".to_owned(),
    };
    let detail: Vec<String> = [
        event.reason.clone(),
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
    )?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{
        api::{EventKind, tests::moved},
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
        print_event(&moved(), false, &mut out).expect("printed");
        print_event(&refused, false, &mut out).expect("printed");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\
TIME                      EVENT        ADDRESS          SITE            EVIDENCE  DETAIL
2026-01-01T00:00:00.123Z  moved        10.0.0.5         dc1 -> dc2      data      learned in 85 us, gap 61 ms
2026-01-01T00:00:00.123Z  refused      10.0.0.77        dc2             -         unauthorised
"
        );
    }
}
