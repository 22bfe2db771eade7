//! The benchmark: how fast the switch is, and at what cost, beside others in the same run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`mod@measure`] | the questions |
//! | [`rig`] | what is measured on |
//! | [`report`] | what was measured, and how it is shown |

mod cli;
mod measure;
mod report;
mod rig;

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use lab::{conventional::control_device, interrupt, paint::Sheet};

use cli::{Args, Part};
use measure::{Plan, SECTIONS};
use report::{Failure, Machine, Report};

/// What a shell shows for a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let mut args = Args::parse();
    let done = match args.part.take() {
        Some(Part::ControlDevice(args)) => control_device::run(args),
        None => run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupt::wanted() => {
            eprintln!("bench: interrupted; everything is cleaned up");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    // Whether there can be files is known before minutes have passed.
    let sheet = Sheet::new(args.svg.clone())?;
    let json = args.json.as_deref().map(create).transpose()?;
    interrupt::watch()?;

    let (plan, name) = if args.quick {
        (Plan::QUICK, "quick")
    } else {
        (Plan::FULL, "full")
    };
    let report = measure(args, &plan, name)?;
    if let Some((path, mut file)) = json {
        serde_json::to_writer_pretty(&mut file, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(file))
            .and_then(|()| file.flush())
            .with_context(|| format!("write {}", path.display()))?;
    }
    let svg = sheet.save(&report.picture())?;
    writeln!(io::stdout(), "\nAs a picture: {}", svg.display()).context("write to stdout")?;
    let failed: Vec<_> = report.failed.iter().map(|failed| failed.section).collect();
    ensure!(
        failed.is_empty(),
        "not everything could be measured: {}",
        failed.join(", ")
    );
    Ok(())
}

/// Measures what is asked for, and shows each section when it is done.
fn measure(args: &Args, plan: &Plan, name: &'static str) -> Result<Report> {
    let mut report = Report {
        machine: Machine::this()?,
        plan: name,
        sections: Vec::new(),
        failed: Vec::new(),
    };
    let mut out = io::stdout();
    report.write_head(&mut out).context("write to stdout")?;
    for (section, measure) in SECTIONS {
        if !args.wants(section) {
            continue;
        }
        match measure(plan) {
            Ok(measured) => {
                measured.write(&mut out).context("write to stdout")?;
                report.sections.push(measured);
            }
            Err(error) => {
                interrupt::check()?;
                // What else was measured, in ten minutes perhaps, is not to be lost.
                eprintln!("bench: cannot measure {section}: {error:#}");
                let why = format!("{error:#}");
                report.failed.push(Failure { section, why });
            }
        }
    }
    Ok(report)
}

fn create(path: &Path) -> Result<(PathBuf, BufWriter<File>)> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    Ok((path.to_owned(), BufWriter::new(file)))
}
