//! The demo: Fig. 1 on this machine, the real switch, and a VM that moves; once for each of the
//! three systems of the patent.
//!
//! | module | what it holds |
//! |---|---|
//! | [`system`] | what the patent's systems have in common, and each of them in a file of its own |
//! | [`run`] | the course of events, the same for every system |
//! | [`traffic`] | what PC and VM say to each other |
//! | [`migration`] | one move, and the gap it makes |
//! | [`news`] | what tells the switch of a move, and when |
//! | [`balance`] | which frames were lost, and where |
//! | [`outcome`] | what a system did, and what went wrong |
//! | [`table`] | the systems side by side |
//! | [`picture`] | their moves as timelines |
//! | [`vm`] | the same with QEMU guests that are live-migrated |
//! | [`screen`] | how it is said |

mod balance;
mod migration;
mod news;
mod outcome;
mod picture;
mod run;
mod screen;
mod system;
mod table;
mod traffic;
mod vm;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use lab::{conventional::control_device, interrupt, paint::Sheet};

use outcome::Outcome;
use screen::Screen;
use system::{Name, conventional::Conventional, first::First, second::Second};

/// What a shell shows for a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;

/// Fig. 1, with the names that the flow table uses.
const FIGURE: &str = "
                                      ┌─ VLAN 1 ── dc1: VM 10.0.0.13
  PC 10.0.0.1 ─── c0 │ switch │ t0 ───┤
                                      └─ VLAN 2 ── dc2
";

type Run = fn(&mut Screen, u32, bool) -> Result<Outcome>;

const SYSTEMS: [(Name, Run); 3] = [
    (Name::First, run::run::<First>),
    (Name::Second, run::run::<Second>),
    (Name::Conventional, run::run::<Conventional>),
];

/// Moves a virtual machine from data centre to data centre while a PC talks to it, in the three
/// systems of the patent, and says what that cost
///
/// PC, switch and data centres are network namespaces of this machine, joined by virtual cables;
/// they vanish with the demo. The switch and the traffic are real. The exit status is 0 if the
/// switch lost nothing.
#[derive(Parser)]
#[command(bin_name = "cargo xtask demo", args_conflicts_with_subcommands = true)]
struct Args {
    /// How the PC's side learns that the VM has moved
    #[arg(long, value_name = "SYSTEM", value_enum, default_value_t = Name::All)]
    system: Name,

    /// How often the VM moves before the agents are killed, restarted, and the VM moves once more
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    moves: u32,

    /// Show it with real VMs instead: QEMU guests, busy and idle ones, that are live-migrated. What that
    /// needs is fetched once
    #[arg(long, conflicts_with_all = ["system", "svg"])]
    vm: bool,

    /// Where to draw the moves as timelines [default: demo.svg beside this program]
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    #[command(subcommand)]
    part: Option<Part>,
}

/// What the demo starts as a process of its own.
#[derive(Subcommand)]
enum Part {
    /// The control device of Fig. 7
    #[command(hide = true)]
    ControlDevice(control_device::Args),
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    let good = match args.part.take() {
        Some(Part::ControlDevice(args)) => control_device::run(args).map(|()| true),
        None => demo(&args, &mut Screen::new()),
    };
    match good {
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
    if args.vm {
        interrupt::watch()?;
        screen.note(FIGURE)?;
        return vm::run(screen, args.moves);
    }
    let sheet = Sheet::new(args.svg.clone())?;
    interrupt::watch()?;
    screen.note(FIGURE)?;
    let mut outcomes = Vec::new();
    for (name, run) in SYSTEMS {
        if args.system == name || args.system == Name::All {
            outcomes.push(run(screen, args.moves, outcomes.is_empty())?);
        }
    }
    table::show(&outcomes, screen)?;
    let svg = sheet.save(&picture::draw(&outcomes))?;
    let here = env::current_dir().context("find the working directory")?;
    let shown = svg.strip_prefix(here).unwrap_or(&svg).display();
    screen.note(format_args!("The moves as timelines: {shown}"))?;
    table::verdict(&outcomes, screen)
}
