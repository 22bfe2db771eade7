//! The only program of a guest: its `/init`.
//!
//! What it shall do is on the kernel's command line, behind ` -- `. It says [`READY`] on the console once
//! it does it.

mod link;
mod traffic;

use std::{
    fs::{self, File},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::reboot::{RebootMode, reboot},
    unistd::getpid,
};

/// What the console says when the guest does what it shall.
const READY: &str = "guest: ready";
/// Where the modules are, named so that their order is the one to load them in.
const MODULES: &str = "/modules";

/// The guest's task.
#[derive(Debug, Parser)]
struct Args {
    /// Its IPv4 address, in a /24
    #[arg(long)]
    ipv4: Ipv4Addr,
    /// Its IPv6 address, in a /64
    #[arg(long)]
    ipv6: Ipv6Addr,
    /// Answer each UDP packet to this port with the same one, to port N + 1 of its sender's address
    #[arg(long, value_name = "PORT")]
    echo: Option<u16>,
    /// Take UDP packets to this port, and leave them unread
    #[arg(long, value_name = "PORT")]
    discard: Option<u16>,
    /// Send a TCP stream to this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    tcp: Option<SocketAddr>,
    /// At most so many bytes of it a second
    #[arg(long, value_name = "BYTES", default_value_t = 1_000_000)]
    rate: u64,
    /// Send numbered UDP packets to this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    udp: Option<SocketAddr>,
    /// One every so many microseconds
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 5_000)]
    interval: u64,
}

fn main() {
    let done = start();
    if let Err(error) = done {
        println!("guest: {error:#}");
        if getpid().as_raw() == 1 {
            // Or the kernel would panic, which says less.
            let _never = reboot(RebootMode::RB_POWER_OFF);
        }
        std::process::exit(1);
    }
    loop {
        thread::park();
    }
}

fn start() -> Result<()> {
    let args = Args::try_parse().context("read the task from the kernel's command line")?;
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys")] {
        fs::create_dir_all(at).with_context(|| format!("make {at}"))?;
        let none: Option<&str> = None;
        mount(Some(kind), at, Some(kind), MsFlags::empty(), none)
            .with_context(|| format!("mount {at}"))?;
    }
    load_modules()?;
    link::set_up(args.ipv4, args.ipv6)?;
    traffic::start(&args)?;
    println!("{READY}");
    Ok(())
}

fn load_modules() -> Result<()> {
    let Ok(modules) = fs::read_dir(MODULES) else {
        return Ok(());
    };
    let mut modules: Vec<PathBuf> = modules
        .map(|module| Ok(module?.path()))
        .collect::<Result<_>>()
        .context("list the modules")?;
    modules.sort();
    for path in modules {
        let name = path.display();
        let module = File::open(&path).with_context(|| format!("open {name}"))?;
        finit_module(&module, c"", ModuleInitFlags::empty())
            .with_context(|| format!("load {name}"))?;
    }
    Ok(())
}

/// Starts a thread that ends the guest if it fails: a guest that only seems to work proves nothing.
fn spawn(name: &'static str, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let run = move || {
        if let Err(error) = work() {
            println!("guest: {name}: {error:#}");
            thread::sleep(Duration::from_millis(100));
            let _never = reboot(RebootMode::RB_POWER_OFF);
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .with_context(|| format!("start the thread for {name}"))?;
    Ok(())
}
