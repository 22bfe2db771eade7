//! The benchmark's own programs.

use anyhow::{Context, Result, ensure};
use aya::{
    Ebpf, include_bytes_aligned,
    maps::{Map, MapError},
    programs::{Xdp, XdpMode},
};
use lab::Namespace;

static PROGRAMS: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/traffic"));

/// The object with its maps made, and none of its programs loaded.
///
/// # Errors
/// This was built without it, or the kernel refuses a map.
pub fn open() -> Result<Ebpf> {
    ensure!(
        !PROGRAMS.is_empty(),
        "the benchmark was built without its XDP programs; build it with `cargo xtask bench`"
    );
    Ebpf::load(PROGRAMS).context("load the benchmark's programs")
}

/// Loads a program.
///
/// # Errors
/// The kernel refuses it.
pub fn load<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = object.program_mut(name);
    let program: &mut Xdp = program
        .with_context(|| format!("there is no program {name}"))?
        .try_into()?;
    program
        .load()
        .with_context(|| format!("load the program {name}"))?;
    Ok(program)
}

/// Loads a program and attaches it to a port, in the driver, for as long as the object lives.
///
/// # Errors
/// The kernel refuses.
pub fn attach(object: &mut Ebpf, name: &str, at: &Namespace, port: &str) -> Result<()> {
    let program = load(object, name)?;
    // The port is looked up in the namespace of the thread.
    at.run(|| program.attach(port, XdpMode::Driver))
        .with_context(|| format!("attach the program {name} to {port} in {}", at.name()))?;
    Ok(())
}

/// Takes a map out of the object.
///
/// # Errors
/// There is none of that name and kind.
pub fn map<M: TryFrom<Map, Error = MapError>>(object: &mut Ebpf, name: &str) -> Result<M> {
    let map = object.take_map(name);
    let map = map.with_context(|| format!("there is no map {name}"))?;
    M::try_from(map).with_context(|| format!("use the map {name}"))
}
