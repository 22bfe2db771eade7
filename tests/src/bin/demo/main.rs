//! The demo: Fig. 1 on this machine, the real switch, and a VM that moves while it talks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`system`] | what the patent's systems have in common, and each of them in a file of its own |
//! | [`run`] | the course of events, the same for every system |
//! | [`traffic`] | what PC and VM say to each other |
//! | [`migration`] | one move, and the gap it makes |
//! | [`balance`] | which frames were lost, and where |
//! | [`outcome`] | what is to be said of it in the end |
//! | [`screen`] | how it is said |
//! | [`interrupt`] | Ctrl-C |

mod balance;
mod interrupt;
mod migration;
mod outcome;
mod run;
mod screen;
mod system;
mod traffic;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use screen::Screen;
use system::{Name, first::First};

/// What a shell shows for a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;

/// Moves a virtual machine from data centre to data centre while it talks to a PC, and says what
/// that cost
///
/// PC, switch and data centres are network namespaces of this machine, joined by virtual cables;
/// they vanish with the demo. The switch and the traffic are real. The exit status is 0 if the
/// switch lost nothing.
#[derive(Parser)]
#[command(bin_name = "cargo xtask demo")]
struct Args {
    /// How the PC's side learns that the VM has moved
    #[arg(long, value_name = "SYSTEM", value_enum, default_value_t = Name::First)]
    system: Name,

    /// How often the VM moves before the agent is killed, restarted, and the VM moves once more
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    moves: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match demo(&args, &mut Screen::new()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if interrupt::wanted() => {
            eprintln!("demo: interrupted; everything is cleaned up");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the switch did what it should.
fn demo(args: &Args, screen: &mut Screen) -> Result<bool> {
    interrupt::watch()?;
    let outcome = match args.system {
        Name::First => run::run::<First>(screen, args.moves)?,
    };
    outcome::show(&[outcome], screen)
}
