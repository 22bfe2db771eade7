//! Settings as they come from the command line, and what is said about the
//! ones that do not go together.

use std::time::Duration;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

const RIGHT: &str = "--client c0 --site dc1=t0:1 --site dc2=t0:2";

fn config(flags: &str) -> Result<Config, ConfigError> {
    let line = ["switch-agent", "run"]
        .into_iter()
        .chain(flags.split_whitespace());
    match Cli::try_parse_from(line).expect(flags).command {
        Command::Run(args) => args.config(),
        other => panic!("not run: {other:?}"),
    }
}

fn error(more: &str) -> String {
    config(&format!("{RIGHT} {more}"))
        .expect_err(more)
        .to_string()
}

#[test]
fn what_is_done_about_an_address_in_two_places() {
    for what in ["alarm", "roll-back", "quarantine"] {
        let config = config(&format!("{RIGHT} --confirm off --on-conflict {what}"));
        let config = config.expect(what);
        assert_eq!(config.confirm, Confirm::Off);
        assert_eq!(config.on_conflict.as_str(), what);
    }
}

#[test]
fn defaults() {
    let config = config(RIGHT).expect("right");
    assert_eq!(config.network.as_str(), "default");
    assert_eq!(config.client.to_string(), "c0");
    assert_eq!(
        config
            .sites
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["dc1=t0:1", "dc2=t0:2"]
    );
    assert_eq!(
        (config.learn, config.unknown),
        (Learn::Auto, Unknown::Flood)
    );
    assert_eq!(
        (config.xdp_mode, config.on_exit),
        (XdpMode::Native, OnExit::Detach)
    );
    assert_eq!(
        (config.confirm, config.on_conflict),
        (Confirm::On, OnConflict::Alarm)
    );
    assert_eq!(config.hold_down_data, Duration::from_secs(5));
    assert_eq!(config.hold_down_announce, Duration::from_secs(1));
    assert_eq!(
        (config.quarantine_moves, config.quarantine_window),
        (5, Duration::from_secs(180))
    );
    assert_eq!(
        (
            config.idle_timeout,
            config.max_flows,
            config.flow_capacity()
        ),
        (None, None, 65_536)
    );
}

#[test]
fn everything_set() {
    let config = config(
        "--client c0:7 --site dc1=c0:1 --site dc2=t1:1 --site dc3=t1:1/802.1ad \
         --allow dc1=10.0.0.0/24 --allow dc1=fd00::/64 --static 10.0.0.9=dc1 --static 192.0.2.1=dc2 \
         --learn moves-only --unknown drop --hold-down 500ms --hold-down-announce 0s \
         --quarantine-moves 3 --quarantine-window 10s --idle-timeout 1h --max-flows 2 \
         --xdp-mode generic --on-exit keep",
    )
    .expect("right");
    let dc1 = config.site(&"dc1".parse().expect("a name")).expect("dc1");
    assert_eq!(dc1.allow.len(), 2);
    assert!(dc1.allows("10.0.0.1".parse().expect("an address")));
    assert!(!dc1.allows("10.0.1.1".parse().expect("an address")));
    assert_eq!(config.statics.len(), 2);
    assert_eq!(config.flow_capacity(), 2);
    assert_eq!(config.hold_down_data, Duration::from_millis(500));
    assert_eq!(config.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(
        (config.learn, config.unknown),
        (Learn::MovesOnly, Unknown::Drop)
    );
    assert_eq!(
        (config.xdp_mode, config.on_exit),
        (XdpMode::Generic, OnExit::Keep)
    );
}

#[test]
fn no_site() {
    let mut settings = (*config(RIGHT).expect("right")).clone();
    settings.sites.clear();
    assert_eq!(Config::new(settings), Err(ConfigError::NoSite));
}

#[test]
fn sites_that_collide() {
    assert_eq!(
        error("--site dc1=t1:1"),
        "site dc1 is given twice; a site has one port and VLAN, so give the second another name"
    );
    assert_eq!(
        error("--site dc3=t0:2/802.1q"),
        "sites dc2 and dc3 are both at t0:2, so their frames could not be told apart; give one another VLAN or port"
    );
}

#[test]
fn a_client_in_a_sites_place() {
    let client = |client: &str| {
        config(&format!("--client {client} --site dc1=t0:1"))
            .expect_err(client)
            .to_string()
    };
    assert_eq!(
        client("t0:1"),
        "the client and site dc1 are both at t0:1, so their frames could not be told apart; give one another VLAN or port"
    );
    assert_eq!(
        client("t0"),
        "the client is untagged on t0, which is site dc1's port, where untagged frames stay the host's; \
         write --client t0:VLAN, or give the client another port"
    );
    assert!(config("--client t0:2 --site dc1=t0:1").is_ok());
    assert!(config("--client t0:1/802.1ad --site dc1=t0:1").is_ok());
}

#[test]
fn sites_that_are_not_there() {
    assert_eq!(
        error("--allow dc9=10.0.0.0/24"),
        "--allow dc9=10.0.0.0/24 names site dc9, which is not there; the sites are dc1, dc2"
    );
    assert_eq!(
        error("--static 10.0.0.5=dc9"),
        "--static 10.0.0.5=dc9 names site dc9, which is not there; the sites are dc1, dc2"
    );
}

#[test]
fn statics_that_collide() {
    assert_eq!(
        error("--static 10.0.0.5=dc1 --static 10.0.0.5=dc2"),
        "--static 10.0.0.5 is given twice, for dc1 and for dc2; an address has one place"
    );
    assert_eq!(
        error("--static 10.0.0.5=dc1 --allow dc1=10.1.0.0/16 --allow dc1=fd00::/64"),
        "--static 10.0.0.5=dc1 is outside what --allow gives site dc1: 10.1.0.0/16, fd00::/64"
    );
    assert_eq!(
        error("--static 10.0.0.5=dc1 --static 10.0.0.6=dc1 --max-flows 1"),
        "2 static addresses do not fit into --max-flows 1; raise it"
    );
}

#[test]
fn numbers_out_of_range() {
    assert_eq!(
        error("--hold-down 61m"),
        "--hold-down 1h 1m would keep an address from moving back for too long; use 0s to 1h"
    );
    assert!(error("--hold-down-announce 2h").starts_with("--hold-down-announce 2h would"));
    assert!(config(&format!("{RIGHT} --hold-down 1h")).is_ok());
    assert_eq!(
        error("--quarantine-window 0s"),
        "--quarantine-window 0s is no time to count moves in; use 1s to 1day"
    );
    assert!(error("--quarantine-window 25h").contains("1day 1h"));
    assert!(error("--idle-timeout 10ms").starts_with("--idle-timeout 10ms is no time"));
    assert!(error("--idle-timeout 2years").contains("use 1s to 365days"));
    assert_eq!(
        error("--quarantine-moves 1"),
        "--quarantine-moves 1 would hold an address at its first move; use 2 or more"
    );
    assert_eq!(
        error("--max-flows 0"),
        "--max-flows 0 is not possible; use 1 to 4194304"
    );
    assert_eq!(
        error("--max-flows 4194305"),
        "--max-flows 4194305 is not possible; use 1 to 4194304"
    );
}
