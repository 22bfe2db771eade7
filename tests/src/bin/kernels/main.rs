//! The project's own tests on Debian's kernels, each booted in a virtual machine.
//!
//! | module | what it holds |
//! |---|---|
//! | [`plan`] | which tests run, what they need of a kernel, which kernels must refuse |
//! | [`guest`] | the files of the virtual machine: the test programs, and an init that runs them |
//! | [`machine`] | the virtual machine, from its start to its end |
//! | [`transcript`] | what init said, read |
//! | [`verdict`] | what is made of it |
//! | [`table`] | the kernels below each other |

mod guest;
mod machine;
mod plan;
mod table;
mod transcript;
mod verdict;

use std::{
    num::NonZero,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use lab::interrupt;
use vm::{Cache, Flavour, Kernel, Left, Qemu, Suite};

use guest::{Guest, Programs};
use verdict::Verdict;

/// What a shell shows for a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;

/// At most so many guests at a time, for the sake of memory.
const MOST: usize = 4;

/// Boots kernels of Debian in QEMU and runs the project's own tests inside: the fixtures of both XDP
/// programs, and the core of the lab
///
/// On kernels older than the switch's minimum it is the agent's refusal that is tested. QEMU and the kernels
/// are fetched from the machine's own mirror of Debian, once, into target/vm; nothing is installed. (Where the
/// machine is no Debian, DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR name one, and there must be a QEMU.) Remove
/// target/vm for newer ones. A suite that the mirror has no more is skipped. The exit status is 0 if every
/// kernel did what it must.
#[derive(Parser)]
#[command(bin_name = "cargo xtask kernels")]
struct Args {
    /// Only this kernel, by the beginning of its version or by its suite: 6.1, trixie; may be repeated
    #[arg(long, value_name = "KERNEL")]
    kernel: Vec<String>,

    /// Show which kernels there are, and run nothing
    #[arg(long)]
    list: bool,

    /// Show what each guest says while it says it
    #[arg(long)]
    verbose: bool,

    /// A test program, as `cargo xtask kernels` names those it has built
    #[arg(long = "program", value_name = "NAME=FILE", value_parser = named_file, hide = true)]
    programs: Vec<(String, PathBuf)>,
}

fn named_file(text: &str) -> Result<(String, PathBuf)> {
    let (name, file) = text.split_once('=').context("it is not NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupt::wanted() => {
            eprintln!("kernels: interrupted; no virtual machine runs any more");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("kernels: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A suite, and its kernel unless the mirror has it no more.
type Found = (Suite, Result<Kernel, Left>);

/// A row of the table.
#[derive(Clone)]
pub struct Row {
    suite: Suite,
    /// None where the suite has left.
    release: Option<String>,
    verdict: Verdict,
    took: Duration,
}

fn run(args: &Args) -> Result<()> {
    interrupt::watch()?;
    let cache = Cache::of_workspace()?;
    let found = find(&cache, &args.kernel)?;
    if args.list {
        table::list(&found);
        return Ok(());
    }
    let programs = Programs::new(agent()?, &args.programs)?;
    let qemu = Qemu::find(&cache)?;
    let busybox = vm::debian::busybox(&cache)?;
    println!("QEMU {} with {:?}", qemu.version(), qemu.accelerator());

    // Each guest has a processor, and needs it all.
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let waiting = Mutex::new(found.into_iter().enumerate());
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    let work = || -> Result<Vec<(usize, Row)>> {
        let mut rows = Vec::new();
        while let Some((place, (suite, kernel))) = next() {
            let row = test(suite, kernel, &qemu, &busybox, &programs, args.verbose)?;
            rows.push((place, row));
        }
        Ok(rows)
    };
    let done: Vec<Result<_>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..processors.min(MOST))
            .map(|_| scope.spawn(work))
            .collect();
        let join = |worker: ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    let mut rows: Vec<(usize, Row)> = done.into_iter().collect::<Result<Vec<_>>>()?.concat();
    rows.sort_by_key(|(place, _)| *place);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    table::show(&rows);
    let bad = rows.iter().filter(|row| !row.verdict.is_good()).count();
    ensure!(
        bad == 0,
        "{bad} of {} kernels did not do what they must",
        rows.len()
    );
    Ok(())
}

fn agent() -> Result<PathBuf> {
    lab::agent::binary().context("which agent runs on the kernels")
}

/// The kernels that are wanted, all of them if none is named.
fn find(cache: &Cache, wanted: &[String]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for suite in Suite::ALL {
        interrupt::check()?;
        let kernel = match Kernel::of(cache, suite, Flavour::Cloud) {
            Ok(kernel) => Ok(kernel),
            Err(error) => Err(error.downcast::<Left>()?),
        };
        let release = kernel.as_ref().map_or("", |kernel| kernel.release());
        if wanted.is_empty() || wanted.iter().any(|name| is_named(name, suite, release)) {
            found.push((suite, kernel));
        }
    }
    if found.is_empty() {
        bail!(
            "there is no kernel {}; --list shows which there are",
            wanted.join(" or ")
        );
    }
    Ok(found)
}

fn is_named(name: &str, suite: Suite, release: &str) -> bool {
    let same_version = release
        .strip_prefix(name)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    name == suite.name() || same_version
}

fn test(
    suite: Suite,
    kernel: Result<Kernel, Left>,
    qemu: &Qemu,
    busybox: &Path,
    programs: &Programs,
    verbose: bool,
) -> Result<Row> {
    let started = Instant::now();
    let (release, verdict) = match kernel {
        Err(left) => (None, Verdict::Skipped(left.to_string())),
        Ok(kernel) => {
            let version = plan::version(kernel.release())?;
            let guest = Guest::new(&kernel, busybox, programs, version)?;
            let said = machine::run(qemu, &kernel, &guest, verbose)
                .with_context(|| format!("run kernel {}", kernel.release()))?;
            let verdict = Verdict::of(version, &said);
            if !verdict.is_good() {
                println!("{}\n", said.text);
            }
            println!("{} ({suite}): {verdict}", kernel.release());
            (Some(kernel.release().to_owned()), verdict)
        }
    };
    Ok(Row {
        suite,
        release,
        verdict,
        took: started.elapsed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_named_by_version_or_suite() {
        let named = |name| is_named(name, Suite::Trixie, "6.12.118+deb13-cloud-amd64");
        assert!(named("6.12") && named("6") && named("6.12.118") && named("trixie"));
        assert!(!named("6.1") && !named("5.10") && !named("trixie-backports"));
    }
}
