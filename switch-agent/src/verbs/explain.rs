//! `explain`: why an address is where it is, and what would happen to evidence for it now.

use std::{
    io::{self, BufWriter, Write},
    time::Duration,
};

use super::{
    table::{Column, Table},
    until_closed,
};
use crate::{
    api::{Explanation, Prospect, time_text},
    cli::ExplainArgs,
    control::Client,
};

/// Shows what the running instance knows of an address.
pub fn explain(client: &Client, args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let explanation = client.explain(args.address)?;
    Ok(until_closed(print_explanation(
        &explanation,
        args.json,
        out,
    ))?)
}

/// Prints an explanation as tables, or as a JSON object.
pub fn print_explanation(
    explanation: &Explanation,
    json: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    if json {
        serde_json::to_writer(&mut out, explanation)?;
        writeln!(out)?;
    } else {
        print_tables(explanation, &mut out)?;
    }
    out.flush()
}

fn print_tables(explanation: &Explanation, out: &mut impl Write) -> io::Result<()> {
    // Taken apart whole: what is added must be shown here too.
    let Explanation {
        network: _,
        address,
        binding,
        evidence,
        asking,
        sites,
    } = explanation;
    let mut table = Table::new([
        Column::Left("ADDRESS"),
        Column::Left("WHAT"),
        Column::Left("VALUE"),
    ]);
    let mut row = |name: &str, value: String| {
        table.row([address.to_string(), name.to_owned(), value]);
    };
    match binding {
        None => row("site", "not bound".to_owned()),
        Some(bound) => {
            row("site", format!("{}, {}", bound.site, bound.state.as_str()));
            let previous = bound.previous_site.as_ref();
            row("previous site", or_dash(previous));
            row("mac", or_dash(bound.mac));
            row("bound for", age(bound.created_ms));
            row("since its move", or_dash(bound.moved_ms.map(age)));
            row("since its last frame", or_dash(bound.seen_ms.map(age)));
            row("moves in the window", bound.moves_in_window.to_string());
        }
    }
    if let Some(asking) = asking {
        let times = format!("{}, tries: {}", asking.site, asking.tries);
        row("being asked", times);
    }
    match evidence {
        None => row("last evidence", "-".to_owned()),
        Some(seen) => {
            let class = seen.evidence.as_str();
            let time = time_text(seen.time);
            row(
                "last evidence",
                format!("{class} from {} at {time}", seen.site),
            );
            row("its frame", seen.frame.clone());
        }
    }
    table.print(out)?;
    writeln!(out)?;

    let mut table = Table::new([
        Column::Left("SITE"),
        Column::Left("DATA NOW"),
        Column::Left("ANNOUNCEMENT NOW"),
        Column::Left("REFUSED SO FAR"),
    ]);
    for site in sites {
        let refused = site.refused.iter();
        let refused: Vec<_> = refused
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        table.row([
            site.site.to_string(),
            prospect(&site.data),
            prospect(&site.announce),
            or_dash((!refused.is_empty()).then(|| refused.join(", "))),
        ]);
    }
    table.print(out)
}

fn prospect(prospect: &Prospect) -> String {
    match &prospect.reason {
        None => prospect.verdict.clone(),
        Some(reason) => format!("{}: {reason}", prospect.verdict),
    }
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// An age, in units that people read.
fn age(ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::explanation;

    fn printed(explanation: &Explanation, json: bool) -> String {
        let mut out = Vec::new();
        print_explanation(explanation, json, &mut out).expect("printed");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn tables() {
        assert_eq!(
            printed(&explanation(), false),
            "\
ADDRESS   WHAT                  VALUE
10.0.0.5  site                  dc2, learned
10.0.0.5  previous site         dc1
10.0.0.5  mac                   02:00:00:00:00:05
10.0.0.5  bound for             9s
10.0.0.5  since its move        250ms
10.0.0.5  since its last frame  3ms
10.0.0.5  moves in the window   1
10.0.0.5  being asked           dc1, tries: 1
10.0.0.5  last evidence         data from dc2 at 2026-01-01T00:00:00.123Z
10.0.0.5  its frame             02:00:00:00:00:05 > 02:00:00:00:00:01, vlan 2, IPv4 0x0800, 10.0.0.5 > 10.0.0.1

SITE  DATA NOW              ANNOUNCEMENT NOW      REFUSED SO FAR
dc1   late                  move                  -
dc2   refresh               refresh               -
dc3   refuse: unauthorised  refuse: unauthorised  unauthorised 2
"
        );
    }

    #[test]
    fn what_nobody_knows() {
        let unknown = Explanation {
            binding: None,
            evidence: None,
            asking: None,
            sites: Vec::new(),
            ..explanation()
        };
        assert_eq!(
            printed(&unknown, false),
            "\
ADDRESS   WHAT           VALUE
10.0.0.5  site           not bound
10.0.0.5  last evidence  -

SITE  DATA NOW  ANNOUNCEMENT NOW  REFUSED SO FAR
"
        );
    }

    #[test]
    fn json_is_an_object() {
        let json = printed(&explanation(), true);
        assert!(json.ends_with("}\n"), "{json}");
        let read: Explanation = serde_json::from_str(&json).expect("an explanation");
        assert_eq!(read, explanation());
    }
}
