//! A network switch that follows live-migrated virtual machines across data centres by itself.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::Parser;
use switch_agent::{
    api::AnyStats,
    cli::{Cli, Command, LogFormat, LogLevel, error_line, exit_status},
    control::Client,
    gateway, report, switch,
    types::InstanceName,
    verbs,
};
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli);
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switch-agent: {}", error_line(&error));
            ExitCode::from(exit_status(&error))
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let Cli {
        instance, command, ..
    } = cli;
    let client = Client::new(instance.clone());
    let out = &mut io::stdout().lock();
    match command {
        Command::Run(args) => verbs::run(&instance, args),
        Command::Gateway(args) if args.check => verbs::check_gateway(&instance, args, out),
        Command::Gateway(args) => verbs::gateway(&instance, args),
        Command::Check(args) => verbs::check(&instance, args, out),
        Command::Detach => verbs::detach(&instance, out),
        Command::Flows(args) => {
            let offline = || {
                Ok(switch::offline(&instance)?
                    .as_ref()
                    .map(report::flows)
                    .transpose()?)
            };
            verbs::flows(&client, &args, offline, out)
        }
        Command::Stats(args) => verbs::stats(&client, &args, || offline_stats(&instance), out),
        Command::Bind(args) => verbs::bind(&client, &args, out),
        Command::Move(args) => verbs::move_(&client, &args, out),
        Command::Unbind(args) => verbs::unbind(&client, &args, out),
        Command::Release(args) => verbs::release(&client, &args, out),
        Command::Explain(args) => verbs::explain(&client, &args, out),
        Command::Events(args) => verbs::events(&client, &args, out, &mut io::stderr()),
    }
}

/// The counters in the pinned maps of an instance that no agent runs for.
fn offline_stats(instance: &InstanceName) -> anyhow::Result<Option<AnyStats>> {
    if let Some(tables) = gateway::offline(instance)? {
        return Ok(Some(gateway::report(&tables)?.into()));
    }
    match switch::offline(instance)? {
        Some(tables) => Ok(Some(report::stats(&tables)?.into())),
        None => Ok(None),
    }
}

/// The log goes to stderr, and the `log` crate's records (the datapath's words) with it.
fn start_log(cli: &Cli) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level(cli.log_level))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    match cli.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
