//! The command line: what can be asked, and how the help tells it.

mod gateway;
mod switch;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use gateway::GatewayArgs;
pub use switch::SwitchArgs;

use crate::{
    config::ConfigError,
    gateway::GatewayConfigError,
    types::{InstanceName, SiteName, VmAddress},
};

/// The help of `run` would mix these options with its own otherwise.
const EVERYWHERE: &str = "Options of every command";

/// A network switch that follows live-migrated virtual machines across data
/// centres by itself.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// Which switch on this box is meant; each runs under a name of its own
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        default_value_t,
        help_heading = EVERYWHERE
    )]
    pub instance: InstanceName,

    /// The least important messages to log
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        value_enum,
        default_value_t,
        help_heading = EVERYWHERE
    )]
    pub log_level: LogLevel,

    /// How messages are written to stderr
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = EVERYWHERE
    )]
    pub log_format: LogFormat,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be the switch, in the foreground
    #[command(after_help = RUN_EXAMPLE)]
    Run(SwitchArgs),
    /// Be a data centre's gateway, in the foreground: tell the switch of VMs that arrive
    #[command(after_help = GATEWAY_EXAMPLE)]
    Gateway(GatewayArgs),
    /// Say what would stop `run` with these options or slow it down; changes nothing
    #[command(after_help = CHECK_EXAMPLE)]
    Check(SwitchArgs),
    /// Show the flow table: both rules of each address, and what they carried
    Flows(FlowsArgs),
    /// Put an address at a site by hand
    Bind(BindArgs),
    /// Move a bound address to another site, at once and in both directions
    Move(MoveArgs),
    /// Forget an address
    Unbind(AddressArgs),
    /// End an address's quarantine: let it move again
    Release(AddressArgs),
    /// Show which addresses were created, moved, refused or quarantined
    Events(EventsArgs),
    /// Say why an address is where it is, and what would happen to evidence from each site now
    Explain(ExplainArgs),
    /// Show counters: per port, per site, drops by reason, misses, moves
    Stats(StatsArgs),
    /// Remove what an instance that no longer runs left on the ports
    Detach,
}

const RUN_EXAMPLE: &str = "\
Example: clients on c0, two data centres behind one trunk port, VLANs 1 and 2
  switch-agent run --client c0 --site dc1=t0:1 --site dc2=t0:2

The same, with the addresses that may be at each site, and one that never moves
  switch-agent run --client c0 --site dc1=t0:1 --site dc2=t0:2 \\
      --allow dc1=10.0.0.0/24 --allow dc2=10.0.0.0/24 --static 10.0.0.1=dc1";

const GATEWAY_EXAMPLE: &str = "\
Example: the LAN on eth1, the switch behind VLAN 2 of eth0; all nodes there are told
  switch-agent gateway --lan eth1 --trunk eth0:2 --announce-to 224.0.0.1 --announce-to ff02::1

The same on a box that forwards already, with signed learning packets
  switch-agent gateway --mode snoop --lan eth1 --trunk eth0:2 --announce-to 10.0.0.1 \\
      --key-file /etc/switch-agent/key --addresses /etc/switch-agent/addresses";

const CHECK_EXAMPLE: &str = "\
Example
  switch-agent check --client c0 --site dc1=t0:1 --site dc2=t0:2";

/// How the flow table is shown.
#[derive(Debug, Clone, Args)]
pub struct FlowsArgs {
    /// As one JSON array
    #[arg(long)]
    pub json: bool,
}

/// Which address to put where.
#[derive(Debug, Clone, Args)]
pub struct BindArgs {
    /// The virtual machine's IPv4 or IPv6 address
    #[arg(value_name = "ADDR")]
    pub address: VmAddress,

    /// The site it is at
    #[arg(long, value_name = "NAME")]
    pub site: SiteName,

    /// Keep it there, whatever is heard from elsewhere
    #[arg(long = "static")]
    pub pinned: bool,
}

/// Which address to move where.
#[derive(Debug, Clone, Args)]
pub struct MoveArgs {
    /// The virtual machine's IPv4 or IPv6 address
    #[arg(value_name = "ADDR")]
    pub address: VmAddress,

    /// The site it is at from now on
    #[arg(long, value_name = "NAME")]
    pub site: SiteName,
}

/// Which address is meant.
#[derive(Debug, Clone, Args)]
pub struct AddressArgs {
    /// The virtual machine's IPv4 or IPv6 address
    #[arg(value_name = "ADDR")]
    pub address: VmAddress,
}

/// Which address is explained, and how it is shown.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The virtual machine's IPv4 or IPv6 address, bound or not
    #[arg(value_name = "ADDR")]
    pub address: VmAddress,

    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Which events are shown, and how.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    /// Go on with new events as they happen
    #[arg(short, long)]
    pub follow: bool,

    /// As one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// How the counters are shown.
#[derive(Debug, Clone, Args)]
pub struct StatsArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The least important messages that are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed
    Error,
    /// And what should be looked at
    Warn,
    /// And what an operator wants to know
    #[default]
    Info,
    /// And what explains a decision
    Debug,
    /// Everything
    Trace,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// A command's error in a line: what failed, then those of its causes that it does not name itself.
pub fn error_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// The exit status for a command's error: 2 for wrong usage, else 1.
pub fn exit_status(error: &anyhow::Error) -> u8 {
    let usage = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<ConfigError>() || cause.is::<GatewayConfigError>()
    };
    if error.chain().any(usage) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_parses() {
        for line in [
            "switch-agent run --client c0 --site dc1=t0:1",
            "switch-agent check --client c0:4 --site dc1=t0:1",
            "switch-agent gateway --lan eth1 --trunk eth0:2 --announce-to 10.0.0.1@52:54:00:00:00:01",
            "switch-agent gateway --lan eth1:5 --trunk eth0:2/802.1ad --notify http://10.0.0.9/moved",
            "switch-agent flows --json",
            "switch-agent bind 10.0.0.5 --site dc1 --static",
            "switch-agent move fd00::5 --site dc2",
            "switch-agent unbind 10.0.0.5",
            "switch-agent release 10.0.0.5",
            "switch-agent events -f --json",
            "switch-agent explain fd00::5 --json",
            "switch-agent stats --json",
            "switch-agent detach --instance other --log-level debug --log-format json",
        ] {
            parse(line).expect(line);
        }
        let cli = parse("switch-agent --instance a flows").expect("a line");
        assert_eq!(
            (cli.instance.as_str(), cli.log_level),
            ("a", LogLevel::Info)
        );
    }

    #[test]
    fn wrong_values_are_wrong_usage_and_say_why() {
        for (line, why) in [
            ("switch-agent run --client c0", "--site <NAME=PORT:VLAN>"),
            (
                "switch-agent run --client c0 --site dc1=t0",
                "site dc1 has no VLAN",
            ),
            (
                "switch-agent run --client c0 --site dc1=t0:4095",
                "reserved by 802.1Q",
            ),
            (
                "switch-agent run --client c/0 --site dc1=t0:1",
                "has '/' in it",
            ),
            (
                "switch-agent run --client c0 --site dc1=t0:1 --hold-down 5",
                "time unit needed",
            ),
            (
                "switch-agent run --client c0 --site dc1=t0:1 --config x",
                "unexpected argument '--config'",
            ),
            ("switch-agent bind 127.0.0.1 --site dc1", "loopback"),
            ("switch-agent bind 10.0.0.5", "--site <NAME>"),
            (
                "switch-agent --instance ../x flows",
                "cannot be the name of an instance",
            ),
            (
                "switch-agent gateway --lan eth1 --trunk eth0:2",
                "--announce-to <IP[@MAC]>",
            ),
            (
                "switch-agent gateway --lan eth1 --trunk eth0 --announce-to 10.0.0.1",
                "write eth0:VLAN",
            ),
            (
                "switch-agent gateway --lan eth1 --trunk eth0:2 --announce-to 10.0.0.1@ff:ff:ff:ff:ff:ff",
                "it is a group's",
            ),
            (
                "switch-agent gateway --lan eth1 --trunk eth0:2 --notify https://x",
                "write http://HOST",
            ),
            (
                "switch-agent gateway --lan eth1 --trunk eth0:2 --announce-to ff02::1 --gateway-id x",
                "invalid digit",
            ),
            ("switch-agent", "Usage:"),
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn an_error_names_each_cause_once() {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = anyhow::Error::from(denied).context("cannot read x");
        assert_eq!(error_line(&error), "cannot read x: permission denied");
        let error = error.context("cannot read x: permission denied; try sudo");
        assert_eq!(
            error_line(&error),
            "cannot read x: permission denied; try sudo"
        );
    }

    #[test]
    fn settings_that_do_not_go_together_are_wrong_usage() {
        let error = anyhow::Error::from(ConfigError::NoSite).context("reading the options");
        assert_eq!(exit_status(&error), 2);
        assert_eq!(exit_status(&anyhow::anyhow!("no such port")), 1);
    }

    #[test]
    fn help_has_an_example() {
        let help = parse("switch-agent run --help")
            .expect_err("help")
            .to_string();
        assert!(
            help.contains("switch-agent run --client c0 --site dc1=t0:1 --site dc2=t0:2"),
            "{help}"
        );
    }
}
