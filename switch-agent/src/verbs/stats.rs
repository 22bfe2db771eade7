//! `stats`: the counters.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, BufWriter, Write},
};

use super::{
    either,
    table::{Column, Table},
    until_closed,
};
use crate::{
    api::{
        AgentStats, AnyStats, BindingStats, Counters, GatewayStats, Known, Latency,
        LearningPackets, Notify, PortStats, Questions, Stats,
    },
    cli::StatsArgs,
    control::Client,
    types::PortName,
};

/// Shows the counters of the running instance, or what `offline` finds where
/// none runs.
pub fn stats(
    client: &Client,
    args: &StatsArgs,
    offline: impl FnOnce() -> anyhow::Result<Option<AnyStats>>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let stats = either(client.stats(), offline)?;
    Ok(until_closed(print_stats(&stats, args.json, out))?)
}

/// Prints counters as tables, or as a JSON object.
pub fn print_stats(stats: &AnyStats, json: bool, out: &mut impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    if json {
        serde_json::to_writer(&mut out, stats)?;
        writeln!(out)?;
    } else {
        match stats {
            AnyStats::Switch(stats) => print_switch(stats, &mut out)?,
            AnyStats::Gateway(stats) => print_gateway(stats, &mut out)?,
        }
    }
    out.flush()
}

fn print_switch(stats: &Stats, out: &mut impl Write) -> io::Result<()> {
    // Taken apart whole: a new counter must be shown here too.
    let Stats {
        misses,
        misses_lost,
        moves,
        moves_in_datapath,
        records_lost,
        created,
        questions,
        conflicts,
        unconfirmed,
        refused,
        drops,
        late,
        flooded,
        learning_packets,
        passed,
        handover_overtaken,
        learn_us:
            Latency {
                count,
                p50,
                p99,
                max,
            },
        ports,
        sites,
        bindings: BindingStats {
            count: bound,
            max: room,
        },
        agent,
    } = stats;

    writeln!(out, "{}\n", agent_text(agent))?;

    print_ports(ports, out)?;

    let [rx_packets, rx_bytes, tx_packets, tx_bytes] = TRAFFIC;
    let mut table = Table::new([
        Column::Left("SITE"),
        rx_packets,
        rx_bytes,
        tx_packets,
        tx_bytes,
    ]);
    for (name, site) in sites {
        let [a, b, c, d] = traffic(&site.counters);
        table.row([name.to_string(), a, b, c, d]);
    }
    table.print(out)?;
    writeln!(out)?;

    let mut table = Table::new([Column::Left("COUNTER"), Column::Right("VALUE")]);
    let mut row =
        |name: &dyn Display, value: &u64| table.row([name.to_string(), value.to_string()]);
    row(&"bindings", bound);
    row(&"bindings, room for", room);
    row(&"created", created);
    row(&"moves", moves);
    row(&"moves in the datapath", moves_in_datapath);
    row(&"records of them lost", records_lost);
    row(&"questions to old sites", questions);
    row(&"conflicts", conflicts);
    row(&"moves not confirmed", unconfirmed);
    row(&"misses", misses);
    row(&"misses lost", misses_lost);
    row(&"late", late);
    row(&"flooded", flooded);
    row(&"learning packets", learning_packets);
    row(&"passed to the host", passed);
    row(&"handover overtaken", handover_overtaken);
    row(&"learn times measured", count);
    row(&"learn us, half within", p50);
    row(&"learn us, 99% within", p99);
    row(&"learn us, longest", max);
    for (reason, count) in refused {
        row(&format_args!("refused, {reason}"), count);
    }
    for (reason, count) in drops {
        row(&format_args!("dropped, {reason}"), count);
    }
    for (name, site) in sites {
        for (limit, count) in &site.limited {
            row(
                &format_args!("kept from the agent at {name}, {limit}"),
                count,
            );
        }
    }
    table.print(out)
}

fn print_gateway(stats: &GatewayStats, out: &mut impl Write) -> io::Result<()> {
    // As above.
    let GatewayStats {
        gateway,
        announcements,
        ignored,
        learning_packets:
            LearningPackets {
                sent,
                failed,
                no_destination,
            },
        questions:
            Questions {
                asked,
                answered,
                unanswered,
            },
        notify: Notify {
            sent: told,
            failed: untold,
        },
        known: Known {
            stations,
            addresses,
            max,
        },
        drops,
        passed,
        ports,
        agent,
    } = stats;
    let id = gateway.map(|id| format!(", gateway {id}"));
    writeln!(out, "{}{}\n", agent_text(agent), id.unwrap_or_default())?;
    print_ports(ports, out)?;

    let mut table = Table::new([Column::Left("COUNTER"), Column::Right("VALUE")]);
    let mut row =
        |name: &dyn Display, value: &u64| table.row([name.to_string(), value.to_string()]);
    for (kind, count) in announcements {
        row(&format_args!("announced, {kind}"), count);
    }
    for (reason, count) in ignored {
        row(&format_args!("ignored, {reason}"), count);
    }
    row(&"learning packets sent", sent);
    row(&"learning packets failed", failed);
    row(&"without a destination", no_destination);
    row(&"stations asked", asked);
    row(&"addresses found by asking", answered);
    row(&"stations without an address", unanswered);
    row(&"notifications sent", told);
    row(&"notifications failed", untold);
    row(&"stations known", stations);
    row(&"addresses known", addresses);
    row(&"addresses, room for", max);
    row(&"passed to the host", passed);
    for (reason, count) in drops {
        row(&format_args!("dropped, {reason}"), count);
    }
    table.print(out)
}

fn print_ports(ports: &BTreeMap<PortName, PortStats>, out: &mut impl Write) -> io::Result<()> {
    let [rx_packets, rx_bytes, tx_packets, tx_bytes] = TRAFFIC;
    let mut table = Table::new([
        Column::Left("PORT"),
        Column::Left("MODE"),
        rx_packets,
        rx_bytes,
        tx_packets,
        tx_bytes,
    ]);
    for (name, port) in ports {
        let mode = port.mode.clone().unwrap_or_else(|| "-".to_owned());
        let [a, b, c, d] = traffic(&port.counters);
        table.row([name.to_string(), mode, a, b, c, d]);
    }
    table.print(out)?;
    writeln!(out)
}

fn agent_text(agent: &AgentStats) -> String {
    let AgentStats {
        running,
        pid,
        version,
    } = agent;
    match (running, pid) {
        (true, Some(pid)) => format!("agent {version} running, pid {pid}"),
        (true, None) => format!("agent {version} running"),
        (false, _) => "no agent running; counters read from the pinned maps".to_owned(),
    }
}

const TRAFFIC: [Column; 4] = [
    Column::Right("RX-PACKETS"),
    Column::Right("RX-BYTES"),
    Column::Right("TX-PACKETS"),
    Column::Right("TX-BYTES"),
];

fn traffic(counters: &Counters) -> [String; 4] {
    let Counters {
        rx_packets,
        rx_bytes,
        tx_packets,
        tx_bytes,
    } = counters;
    [rx_packets, rx_bytes, tx_packets, tx_bytes].map(u64::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{gateway_stats, stats};

    fn printed(stats: impl Into<AnyStats>, json: bool) -> String {
        let mut out = Vec::new();
        print_stats(&stats.into(), json, &mut out).expect("printed");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn tables() {
        assert_eq!(
            printed(stats(), false),
            "\
agent 0.1.0 running, pid 4711

PORT  MODE    RX-PACKETS  RX-BYTES  TX-PACKETS  TX-BYTES
c0    native          20      2000          21      2100
t0    -               30      3000          31      3100

SITE  RX-PACKETS  RX-BYTES  TX-PACKETS  TX-BYTES
dc1           40      4000          41      4100

COUNTER                                VALUE
bindings                                  12
bindings, room for                     65536
created                                    3
moves                                      2
moves in the datapath                     15
records of them lost                      19
questions to old sites                    18
conflicts                                 16
moves not confirmed                       17
misses                                     7
misses lost                                1
late                                       8
flooded                                    9
learning packets                          13
passed to the host                        10
handover overtaken                        11
learn times measured                       2
learn us, half within                     80
learn us, 99% within                      95
learn us, longest                         97
refused, pinned                            4
dropped, malformed                         5
dropped, unknown                           6
kept from the agent at dc1, miss-rate     14
"
        );
    }

    #[test]
    fn tables_of_a_gateway() {
        assert_eq!(
            printed(gateway_stats(), false),
            "\
agent 0.1.0 running, pid 4711, gateway 7

PORT  MODE    RX-PACKETS  RX-BYTES  TX-PACKETS  TX-BYTES
c0    native          20      2000          21      2100
t0    -               30      3000          31      3100

COUNTER                      VALUE
announced, arp                   1
announced, rarp                  2
ignored, malformed               3
learning packets sent            4
learning packets failed          5
without a destination            6
stations asked                   7
addresses found by asking        8
stations without an address      9
notifications sent              10
notifications failed            11
stations known                  12
addresses known                 13
addresses, room for          65536
passed to the host              15
dropped, no-leg                 14
"
        );
    }

    #[test]
    fn without_an_agent() {
        let text = printed(Stats::default(), false);
        assert!(
            text.starts_with("no agent running; counters read from the pinned maps\n"),
            "{text}"
        );
    }

    #[test]
    fn json_is_one_object() {
        let json = printed(stats(), true);
        assert_eq!(
            serde_json::from_str::<Stats>(&json).expect("counters"),
            stats()
        );
        assert!(json.ends_with("}\n"));
    }
}
