//! `cargo xtask VERB`: everything a contributor runs, in one place and in one way.

mod bench;
mod build;
mod checks;
mod ci;
mod demo;
mod exec;
mod fuzz;
mod kernels;
mod paths;
mod run;
mod setup;
mod test;
mod toolchain;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

/// Set-up, build, tests and demo of the switch.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what the build needs: rust-src and bpf-linker (the other verbs do this by themselves)
    Setup,
    /// Build the agent with the XDP programs inside it
    Build {
        /// Build with optimisations, as it is meant to be used
        #[arg(long)]
        release: bool,
    },
    /// Build the agent in release and run it, as root: `cargo xtask run -- run --client …`
    Run {
        /// What to pass to switch-agent
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Run all tests, those of the namespace lab too, as root
    Test {
        /// What to pass to the test programs: a filter, `--nocapture` …
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Show moves between two data centres in the namespace lab, as root
    // The demo has a help of its own.
    #[command(disable_help_flag = true)]
    Demo {
        /// What to pass to the demo: `--moves N` … (`cargo xtask demo --help` shows all)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure how fast the switch is, beside others, as root
    // The benchmark has a help of its own.
    #[command(disable_help_flag = true)]
    Bench {
        /// What to pass to the benchmark: `--quick` … (`cargo xtask bench --help` shows all)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Throw frames that nobody would send at the real programs, as root
    Fuzz {
        /// For so many seconds each target, all of them side by side
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
        /// The seed to begin with, as a failure names it [default: another one each time]
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// What to pass to the test program: a filter, such as `switch::`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Run the core of the tests on Debian's kernels in virtual machines, as root
    // It has a help of its own.
    #[command(disable_help_flag = true)]
    Kernels {
        /// What to pass on: `--kernel 6.1`, `--list` … (`cargo xtask kernels --help` shows all)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// What CI holds every change to: formatting, lints, tests, other kernels; as root
    Ci,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Setup => setup::ensure(),
        Verb::Build { release } => build::agent(release).map(drop),
        Verb::Run { args } => run::run(&args),
        Verb::Test { args } => test::run(&args),
        Verb::Demo { args } => demo::run(&args),
        Verb::Bench { args } => bench::run(&args),
        Verb::Fuzz {
            seconds,
            seed,
            args,
        } => fuzz::run(seconds, seed, &args),
        Verb::Kernels { args } => kernels::run(&args),
        Verb::Ci => ci::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
