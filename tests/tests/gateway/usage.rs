//! What is wrong with a command line or a host.

use anyhow::{Result, ensure};
use lab::{Agent, Lab};
use tempfile::TempDir;

use crate::SOON;

#[test]
fn check_says_what_would_stop_it_and_changes_nothing() -> Result<()> {
    let lab = Lab::fig1()?;
    lab.open_gateway(0)?;
    let lan = &lab.dc[0].ns;
    let agent = Agent::start(lan, &["detach"])?;
    let before = [lan.link("lan")?, lan.link("up")?];
    let check = |trunk: &str| {
        let options = ["--lan", "lan", "--trunk", trunk, "--announce-to", "ff02::1"];
        agent.cli(&[&["gateway", "--check"], &options[..]].concat())
    };
    let good = check("up:1")?;
    assert_eq!(
        String::from_utf8(good.stdout)?,
        "lan, up: can be ports of a gateway\n"
    );
    assert_eq!(good.status.code(), Some(0));
    let bad = check("nowhere:1")?;
    let said = String::from_utf8(bad.stderr)?;
    ensure!(said.contains("port nowhere does not exist"), "{said}");
    assert_eq!(bad.status.code(), Some(1));
    assert_eq!([lan.link("lan")?, lan.link("up")?], before);
    Ok(())
}

#[test]
fn mistakes_have_a_line_and_a_status() -> Result<()> {
    let lab = Lab::fig1()?;
    lab.open_gateway(0)?;
    let state = TempDir::new()?;
    let file = state.path().join("addresses");
    std::fs::write(
        &file,
        "52:54:00:00:00:0d 10.0.0.13\n52:54:00:00:00:0d nonsense\n",
    )?;
    let (state, file) = (state.path().to_string_lossy(), file.to_string_lossy());
    let gateway = ["gateway", "--state-dir", &state, "--lan", "lan"];
    for (options, code, why) in [
        (&["--trunk", "up"][..], 2, "write up:VLAN"),
        (&["--trunk", "up:1"], 2, "--announce-to"),
        (
            &["--trunk", "up:1", "--announce-to", "10.0.0"],
            2,
            "not an IPv4 or IPv6 address",
        ),
        (
            &["--trunk", "up:1", "--announce-to", "0.0.0.0"],
            2,
            "names nobody",
        ),
        (
            &["--trunk", "lan:1", "--announce-to", "ff02::1"],
            2,
            "write --lan lan:VLAN",
        ),
        (
            &[
                "--trunk",
                "up:1",
                "--announce-to",
                "ff02::1",
                "--announce-to",
                "ff02::1",
            ],
            2,
            "is given twice",
        ),
        (
            &["--trunk", "nowhere:1", "--announce-to", "ff02::1"],
            1,
            "port nowhere does not exist",
        ),
        (
            &["--trunk", "lan-br:1", "--announce-to", "ff02::1"],
            1,
            "is a member of br0",
        ),
        (
            &[
                "--trunk",
                "up:1",
                "--announce-to",
                "ff02::1",
                "--addresses",
                &file,
            ],
            1,
            "line 2 of ",
        ),
        (
            &[
                "--trunk",
                "up:1",
                "--announce-to",
                "ff02::1",
                "--addresses",
                "/nowhere",
            ],
            1,
            "cannot read the file of addresses /nowhere",
        ),
        (
            &[
                "--trunk",
                "up:1",
                "--announce-to",
                "ff02::1",
                "--state-dir",
                "/proc/nowhere",
            ],
            1,
            "--state-dir names another directory",
        ),
    ] {
        // The last of two counts.
        let base = if options.contains(&"--state-dir") {
            vec!["gateway", "--lan", "lan"]
        } else {
            gateway.to_vec()
        };
        let mut agent = Agent::start(&lab.dc[0].ns, &[&base, options].concat())?;
        let status = agent.wait_exit(SOON)?;
        let said = agent.stderr();
        assert_eq!(status.code(), Some(code), "{options:?}: {said}");
        ensure!(said.contains(why), "{options:?}: {said}");
        for port in ["lan", "up"] {
            assert_eq!(
                lab.dc[0].ns.link(port)?.xdp,
                None,
                "{options:?} left a program"
            );
        }
    }
    Ok(())
}
