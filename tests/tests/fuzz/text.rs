//! What people and programs write: command lines and requests at the control socket.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use fastrand::Rng;
use lab::{Agent, Namespace, veth};
use switch_agent::{
    api::{Envelope, Request, Response},
    cli::{Cli, Command},
    config::{ClientPort, Config, Site},
    gateway::{Destination, GatewayConfig},
};

use crate::{campaign, stats::Stats};

/// Texts in a round.
const TEXTS: usize = 100;
/// How long the agent may take for an answer.
const SOON: Duration = Duration::from_secs(10);

const LINES: [&str; 6] = [
    "run --client c0 --site dc1=t0:1 --site dc2=t0:2/802.1ad --allow dc1=10.0.0.0/24",
    "run --client c0:7 --site dc1=t0:1 --static fd00::5=dc1 --learn moves-only --unknown drop",
    "run --client c0 --site a=t:1 --hold-down 5s --quarantine-window 3m --max-flows 9 --metrics [::1]:9",
    "gateway --lan eth1 --trunk eth0:2 --announce-to 224.0.0.1 --announce-to 10.0.0.1@02:00:00:00:00:01",
    "gateway --lan eth1:4/802.1ad --trunk eth0:2 --notify http://[::1]:9/a?b --gateway-id 7 --mode snoop",
    "bind 10.0.0.5 --site dc1 --static",
];

const REQUESTS: [&str; 7] = [
    r#"{"instance":"default","request":"flows"}"#,
    r#"{"instance":"default","request":"stats"}"#,
    r#"{"instance":"default","request":"events","follow":false}"#,
    r#"{"instance":"default","request":"order","order":{"verb":"bind","address":"10.0.0.5","site":"dc1","pinned":true}}"#,
    r#"{"instance":"default","request":"order","order":{"verb":"move","address":"fd00::5","site":"dc2"}}"#,
    r#"{"instance":"default","request":"order","order":{"verb":"unbind","address":"10.0.0.5"}}"#,
    r#"{"instance":"default","request":"order","order":{"verb":"release","address":"10.0.0.5"}}"#,
];

/// Pieces at which a reader may stumble.
const PIECES: [&str; 28] = [
    "",
    " ",
    "=",
    ":",
    "/",
    ",",
    "\"",
    "{",
    "}",
    "[[[[",
    "\\u0000",
    "\u{0}",
    "é",
    "\u{1f980}",
    "-",
    "-1",
    "0",
    "4095",
    "4096",
    "65536",
    "18446744073709551616",
    "1e999",
    "null",
    "::",
    "::ffff:10.0.0.5",
    "255.255.255.255",
    "dc2",
    "999999999999y",
];

#[test]
fn command_lines_are_read_or_refused() -> Result<()> {
    campaign::run("command lines", 10, |rng| {
        for _ in 0..TEXTS {
            let line = mutated(rng, &LINES);
            read_line(&line).with_context(|| format!("{line:?}"))?;
        }
        Ok(())
    })
}

#[test]
fn requests_are_read_or_refused() -> Result<()> {
    campaign::run("requests", 10, |rng| {
        for _ in 0..10 * TEXTS {
            let text = mutated(rng, &REQUESTS);
            let Ok(request) = serde_json::from_str::<Envelope>(&text) else {
                continue;
            };
            let again = serde_json::to_string(&request)?;
            ensure!(
                serde_json::from_str::<Envelope>(&again)? == request,
                "{text:?} is {request:?}, which reads back as another"
            );
        }
        Ok(())
    })
}

/// Whatever comes to its socket, an agent answers or says what is wrong, and goes on.
#[test]
fn the_control_socket_answers_or_refuses() -> Result<()> {
    let (here, there) = (Namespace::new("switch")?, Namespace::new("ends")?);
    veth((&here, "c0"), (&there, "pc0"))?;
    veth((&here, "t0"), (&there, "pt0"))?;
    let arguments = [
        "run", "--client", "c0", "--site", "dc1=t0:1", "--site", "dc2=t0:2",
    ];
    let mut agent = Agent::start(&here, &arguments)?;
    agent.wait_ready(SOON)?;
    let socket = format!("/run/switch-agent/{}.sock", agent.instance());
    campaign::run("the control socket", 5, |rng| {
        for _ in 0..TEXTS {
            let text = mutated(rng, &REQUESTS).replace("default", agent.instance());
            let follows = serde_json::from_str::<Envelope>(&text)
                .is_ok_and(|envelope| matches!(envelope.request, Request::Events { follow: true }));
            if !follows {
                ask(&socket, &text).with_context(|| format!("{text:?}"))?;
            }
        }
        Stats::of(&agent).map(drop)
    })
}

/// Sends a line, and reads the answer, the last line of which says how it ended.
fn ask(socket: &str, line: &str) -> Result<()> {
    let mut stream = UnixStream::connect(socket).context("connect")?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    read.with_context(|| format!("read an answer after {answer:?}"))?;
    let last = answer.lines().last().context("there is no answer")?;
    let last: Response = serde_json::from_str(last).with_context(|| format!("read {last:?}"))?;
    ensure!(
        matches!(last, Response::Done | Response::Error { .. }),
        "the answer ends with {last:?}"
    );
    Ok(())
}

/// Reads a command line as the agent does. What can be shown reads back.
fn read_line(line: &str) -> Result<()> {
    for word in line.split(' ') {
        if let Ok(port) = word.parse::<ClientPort>() {
            ensure!(port.to_string().parse() == Ok(port), "{word:?}");
        }
        if let Ok(site) = word.parse::<Site>() {
            ensure!(site.to_string().parse() == Ok(site), "{word:?}");
        }
        if let Ok(destination) = word.parse::<Destination>() {
            ensure!(
                destination.to_string().parse() == Ok(destination),
                "{word:?}"
            );
        }
    }
    let words = ["switch-agent"].into_iter().chain(line.split(' '));
    let Ok(cli) = Cli::try_parse_from(words) else {
        return Ok(());
    };
    match cli.command {
        Command::Run(arguments) | Command::Check(arguments) => {
            if let Ok(config) = arguments.config() {
                // Settings that went together go together.
                ensure!(Config::new((*config).clone()).is_ok());
            }
        }
        Command::Gateway(arguments) => {
            let _: Result<GatewayConfig, _> = arguments.config();
        }
        _ => {}
    }
    Ok(())
}

/// One of these texts, changed a few times.
fn mutated(rng: &mut Rng, texts: &[&str]) -> String {
    let mut text: Vec<char> = texts[rng.usize(..texts.len())].chars().collect();
    for _ in 0..rng.u8(0..4) {
        let at = rng.usize(0..=text.len());
        let end = rng.usize(at..=text.len().min(at + 6));
        match rng.u8(0..5) {
            0 => drop(text.drain(at..end)),
            1 => {
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }
            2 => {
                let piece = PIECES[rng.usize(..PIECES.len())];
                text.splice(at..end, piece.chars());
            }
            3 => text.insert(at, rng.char(..)),
            _ => {
                let other: Vec<char> = texts[rng.usize(..texts.len())].chars().collect();
                let from = rng.usize(0..=other.len());
                text.splice(at.., other[from..].iter().copied());
            }
        }
    }
    // A line ends at its end.
    text.retain(|character| *character != '\n');
    text.into_iter().collect()
}
