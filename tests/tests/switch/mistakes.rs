//! Bad input gets a clear line and a status, and changes nothing.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab, Namespace, agent,
    net::{pinned, xdp},
    traffic::ping,
};

use crate::{
    RUN, SOON, V4,
    ports::{both, left_by},
    start,
    stream::Bench,
};

/// One line that has all of these words in it.
pub fn one_line(said: &str, words: &[&str]) -> Result<()> {
    ensure!(said.lines().count() == 1, "not one line:\n{said}");
    for word in words {
        ensure!(said.contains(word), "no {word:?} in:\n{said}");
    }
    Ok(())
}

/// Wants `run` and `check` to refuse these options with this status and these words on stderr, and
/// the ports to be as they were.
fn refused(lab: &Lab, options: &[&str], status: i32, words: &[&str]) -> Result<()> {
    let before = both(lab)?;
    for verb in ["run", "check"] {
        let arguments = [&[verb], options].concat();
        let mut agent = Agent::start(&lab.switch, &arguments)?;
        let ended = agent.wait_exit(SOON)?;
        let said = agent.stderr();
        let what = || format!("{arguments:?} ended with {ended}:\n{said}");
        ensure!(ended.code() == Some(status), "{}", what());
        if said.starts_with("error: ") {
            // The command line's parser has its own form: the line, an empty one, a hint.
            let (line, rest) = said.split_once('\n').with_context(what)?;
            one_line(line, words)?;
            ensure!(rest.trim().lines().count() <= 1, "{}", what());
        } else {
            one_line(&said, words)?;
        }
        assert_eq!(both(lab)?, before, "{}", what());
        assert_eq!(left_by(agent.instance()), [] as [&str; 0]);
    }
    Ok(())
}

/// A command's status, and what it said on stderr.
pub fn output_of(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn ports_that_cannot_be() -> Result<()> {
    let lab = Lab::fig1()?;
    let site = ["--site", "dc1=t0:1"];
    let with = |client| [&["--client", client], &site[..]].concat();
    let missing = ["port c9 does not exist", "did you mean c0?"];
    refused(&lab, &with("c9"), 1, &missing)?;
    let none = ["port eth7 does not exist", "there are: c0, t0"];
    refused(&lab, &with("eth7"), 1, &none)?;
    refused(
        &lab,
        &with("lo"),
        1,
        &["port lo is the loopback device", "cable or a peer"],
    )?;
    // Everything that is wrong, in one line.
    let both = ["--client", "c9", "--site", "dc1=t9:1"];
    refused(&lab, &both, 1, &["port c9 does", "; and port t9 does"])
}

#[test]
fn a_bridges_port() -> Result<()> {
    let lab = Lab::fig1()?;
    lab.switch.add_bridge("lan0")?;
    lab.switch.set_bridge("c0", Some("lan0"))?;
    let words = ["port c0 is a member of lan0", "ip link set c0 nomaster"];
    refused(&lab, &RUN[1..], 1, &words)
}

#[test]
fn a_port_with_a_program_of_somebody_else() -> Result<()> {
    let lab = Lab::fig1()?;
    xdp::redirect(&lab.switch, "c0", "t0")?;
    let words = [
        "port c0 already has an XDP program (id ",
        "ip link set dev c0 xdp off",
    ];
    refused(&lab, &RUN[1..], 1, &words)
}

#[test]
fn a_port_of_another_instance() -> Result<()> {
    let (lab, vm, agent) = start(&[])?;
    refused(
        &lab,
        &RUN[1..],
        1,
        &[
            "port c0 already has an XDP program",
            "; and port t0 already",
        ],
    )?;
    ping(&lab.client.v4(0), &vm.v4(7), SOON)?;
    assert_eq!(agent.stats()?.faults(), []);
    Ok(())
}

#[test]
fn a_trunk_without_room_for_the_clients_frames() -> Result<()> {
    let lab = Lab::fig1()?;
    lab.switch.set_mtu("t0", 1400)?;
    let words = [
        "trunk port t0 has MTU 1400",
        "c0 (MTU 1500)",
        "ip link set dev t0 mtu 1500",
    ];
    refused(&lab, &RUN[1..], 1, &words)?;
    lab.switch.set_mtu("t0", 1500)?;
    let service = ["--client", "c0", "--site", "dc1=t0:1/802.1ad"];
    refused(
        &lab,
        &service,
        1,
        &["802.1ad", "ip link set dev t0 mtu 1504"],
    )
}

#[test]
fn options_that_cannot_be() -> Result<()> {
    let lab = Lab::fig1()?;
    let vlan = |vlan: &str, words: &[&str]| -> Result<()> {
        let site = format!("dc1=t0:{vlan}");
        refused(&lab, &["--client", "c0", "--site", &site], 2, words)?;
        let client = format!("c0:{vlan}");
        refused(&lab, &["--client", &client, "--site", "dc1=t0:1"], 2, words)
    };
    vlan("0", &["VLAN id 0", "use 1 to 4094"])?;
    vlan("4095", &["VLAN id 4095", "use 1 to 4094"])?;
    vlan("4096", &["VLAN id 4096", "use 1 to 4094"])?;
    vlan("one", &["\"one\" is not a number", "1 to 4094"])?;
    vlan("1/802.3", &["802.3", "802.1ad"])?;

    let site = ["--client", "c0", "--site", "dc1=t0:1"];
    let more = |options: &[&str], words: &[&str]| -> Result<()> {
        refused(&lab, &[&site, options].concat(), 2, words)
    };
    more(
        &["--site", "dc2=t0:1"],
        &["dc1 and dc2 are both at t0:1", "another VLAN or port"],
    )?;
    more(
        &["--site", "dc1=t0:2"],
        &["site dc1 is given twice", "another name"],
    )?;
    more(
        &["--allow", "dc9=10.0.0.0/8"],
        &["names site dc9", "the sites are dc1"],
    )?;
    more(
        &["--static", "10.0.0.13=dc9"],
        &["names site dc9", "the sites are dc1"],
    )?;
    more(&["--static", "127.0.0.1=dc1"], &["127.0.0.1", "loopback"])?;
    more(&["--max-flows", "0"], &["--max-flows 0", "use 1 to"])?;
    more(&["--hold-down", "2h"], &["--hold-down 2h", "use 0s to 1h"])?;

    // The same port twice.
    let untagged = ["--client", "t0", "--site", "dc1=t0:1"];
    refused(&lab, &untagged, 2, &["untagged on t0", "another port"])?;
    let same = ["--client", "t0:1", "--site", "dc1=t0:1"];
    refused(
        &lab,
        &same,
        2,
        &[
            "client and site dc1 are both at t0:1",
            "another VLAN or port",
        ],
    )
}

#[test]
fn an_instance_that_runs_already() -> Result<()> {
    let (lab, vm, agent) = start(&[])?;
    let before = both(&lab)?;
    let (status, said) = output_of(&agent.cli(&RUN)?);
    assert_eq!(status, Some(1));
    let running = format!(
        "instance {} is already running (pid {})",
        agent.instance(),
        agent.pid()
    );
    one_line(&said, &[&running, "stop it first"])?;
    assert_eq!(both(&lab)?, before);
    ping(&lab.client.v4(0), &vm.v4(7), SOON)?;
    assert_eq!(agent.stats()?.agent(), (true, Some(agent.pid())));
    Ok(())
}

#[test]
fn an_instance_of_another_namespace() -> Result<()> {
    let (lab, _vm, mut agent) = start(&[])?;
    agent.kill9()?;
    let before = both(&lab)?;
    let elsewhere = Namespace::new("elsewhere")?;
    for arguments in [&["detach"][..], &RUN] {
        let mut stranger = Agent::start_as(&elsewhere, agent.instance(), arguments)?;
        let status = stranger.wait_exit(SOON)?;
        assert_eq!(status.code(), Some(1), "{}", stranger.stderr());
        let line = stranger.stderr();
        let last = line.lines().last().unwrap_or_default();
        one_line(
            last,
            &["are in the network namespace net:[", "nsenter --net="],
        )?;
    }
    assert_eq!(both(&lab)?, before);
    agent.cli_ok(&["detach"])?;
    Ok(())
}

/// A file of the lab's in a directory that is not, gone with the test.
struct Passing(PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn the_socket_of_another_instance() -> Result<()> {
    let (lab, _vm, agent) = start(&[])?;
    let other = agent::instance();
    let socket = |instance: &str| PathBuf::from(format!("/run/switch-agent/{instance}.sock"));
    let link = Passing(socket(&other));
    symlink(socket(agent.instance()), &link.0)?;
    let mut command = lab.switch.command(agent::binary()?);
    command.args(["--instance", &other, "flows"]);
    let (status, said) = output_of(&command.output()?);
    ensure!(status == Some(1), "{said}");
    let mine = format!("this is the socket of instance {}", agent.instance());
    one_line(
        &said,
        &[&mine, &format!("the request is for instance {other}")],
    )
}

#[test]
fn pins_of_another_layout() -> Result<()> {
    let mut bench = Bench::start(&[])?;
    bench.speak(V4, 1)?;
    bench.settle()?;
    bench.agent.kill9()?;
    let meta = format!(
        "/sys/fs/bpf/switch-agent/{}/maps/META",
        bench.agent.instance()
    );
    // It begins with the version.
    pinned::overwrite(Path::new(&meta), &99_u32.to_ne_bytes())?;
    let before = both(&bench.lab)?;
    for arguments in [&RUN[..], &["flows"], &["stats"]] {
        let (status, said) = output_of(&bench.agent.cli(arguments)?);
        ensure!(status == Some(1), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        one_line(last, &["map layout 99", "`switch-agent detach` removes it"])?;
    }
    assert_eq!(both(&bench.lab)?, before);
    // What runs goes on, until it is told to end.
    bench.speak(V4, 1)?;
    bench.agent.cli_ok(&["detach"])?;
    assert_eq!(left_by(bench.agent.instance()), [] as [&str; 0]);
    Ok(())
}

#[test]
fn pins_of_another_size() -> Result<()> {
    let mut bench = Bench::start(&["--max-flows", "16"])?;
    bench.speak(V4, 1)?;
    bench.settle()?;
    bench.agent.kill9()?;
    let before = both(&bench.lab)?;
    let arguments = [&RUN[..], &["--max-flows", "17"]].concat();
    let (status, said) = output_of(&bench.agent.cli(&arguments)?);
    ensure!(status == Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    one_line(
        last,
        &["room for 16 flows", "asks for 17", "leave the option out"],
    )?;
    assert_eq!(both(&bench.lab)?, before);
    bench.speak(V4, 1)
}
