//! `flows`: the flow table.

use std::io::{self, BufWriter, Write};

use super::{
    either,
    table::{Column, Table},
    until_closed,
};
use crate::{
    api::{Flow, Rule},
    cli::FlowsArgs,
    control::Client,
};

/// Shows the flow table of the running instance, or what `offline` finds where
/// none runs.
pub fn flows(
    client: &Client,
    args: &FlowsArgs,
    offline: impl FnOnce() -> anyhow::Result<Option<Vec<Flow>>>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let flows = either(client.flows(), offline)?;
    Ok(until_closed(print_flows(&flows, args.json, out))?)
}

/// Prints flows as a table, two rules each, or as a JSON array.
pub fn print_flows(flows: &[Flow], json: bool, out: &mut impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    if json {
        serde_json::to_writer(&mut out, flows)?;
        writeln!(out)?;
        return out.flush();
    }
    let mut table = Table::new([
        Column::Left("ADDRESS"),
        Column::Left("STATE"),
        Column::Left("SITE"),
        Column::Left("RULE"),
        Column::Left("MATCH"),
        Column::Left("INSTRUCTION"),
        Column::Right("PACKETS"),
        Column::Right("BYTES"),
    ]);
    for flow in flows {
        for (name, rule) in [("up", &flow.uplink), ("down", &flow.downlink)] {
            table.row([
                flow.address.to_string(),
                flow.state.as_str().to_owned(),
                flow.site.to_string(),
                name.to_owned(),
                match_text(rule),
                instruction_text(rule),
                rule.traffic.packets.to_string(),
                rule.traffic.bytes.to_string(),
            ]);
        }
    }
    table.print(&mut out)?;
    out.flush()
}

fn match_text(rule: &Rule) -> String {
    let matches = &rule.matches;
    let tag = match (matches.vlan, matches.tpid) {
        (None, _) => String::new(),
        (Some(vlan), None) => format!(" vlan {vlan}"),
        (Some(vlan), Some(tpid)) => format!(" vlan {vlan}/{tpid}"),
    };
    format!(
        "in {}{tag} {} {}",
        matches.in_port,
        matches.end.field(),
        matches.end.address()
    )
}

fn instruction_text(rule: &Rule) -> String {
    let instruction = &rule.instruction;
    let tag = match (instruction.vlan, instruction.tpid) {
        (None, _) => "untag".to_owned(),
        (Some(vlan), None) => format!("vlan {vlan}"),
        (Some(vlan), Some(tpid)) => format!("vlan {vlan}/{tpid}"),
    };
    format!("{tag} out {}", instruction.output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{FlowState, Traffic, tests::flow};

    fn printed(flows: &[Flow], json: bool) -> String {
        let mut out = Vec::new();
        print_flows(flows, json, &mut out).expect("printed");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn two_rules_each() {
        let mut second = flow("c0:7", "data-centre-2=t1:2/802.1ad");
        second.state = FlowState::Quarantined;
        second.downlink.traffic = Traffic {
            packets: 1234,
            bytes: 567_890,
        };
        assert_eq!(
            printed(&[flow("c0", "dc1=t0:1"), second], false),
            "\
ADDRESS   STATE        SITE           RULE  MATCH                              INSTRUCTION            PACKETS   BYTES
10.0.0.5  learned      dc1            up    in c0 dst 10.0.0.5                 vlan 1 out t0                0       0
10.0.0.5  learned      dc1            down  in t0 vlan 1 src 10.0.0.5          untag out c0                 0       0
10.0.0.5  quarantined  data-centre-2  up    in c0 vlan 7 dst 10.0.0.5          vlan 2/802.1ad out t1        0       0
10.0.0.5  quarantined  data-centre-2  down  in t1 vlan 2/802.1ad src 10.0.0.5  vlan 7 out c0             1234  567890
"
        );
    }

    #[test]
    fn json_is_an_array() {
        assert_eq!(printed(&[], true), "[]\n");
        let json = printed(&[flow("c0", "dc1=t0:1")], true);
        assert!(
            json.starts_with("[{\"network\":\"default\",\"address\":\"10.0.0.5\""),
            "{json}"
        );
        assert_eq!(
            serde_json::from_str::<Vec<Flow>>(&json).expect("flows"),
            [flow("c0", "dc1=t0:1")]
        );
    }

    #[test]
    fn an_empty_table_has_its_header() {
        assert_eq!(
            printed(&[], false),
            "ADDRESS  STATE  SITE  RULE  MATCH  INSTRUCTION  PACKETS  BYTES\n"
        );
    }
}
