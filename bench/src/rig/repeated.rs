//! The program of a port on one frame after the other, with nothing around it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use aya::{
    Ebpf, TestRun as _, TestRunOptions, TestRunResult,
    maps::{Array, MapData, ProgramArray},
    programs::{ProgramFd, Xdp, loaded_programs},
};
use bench_ebpf::Stream;
use lab::{Namespace, Verdict, interrupt};

use super::{cpu, object, station::context};

/// Runs programs on frames that come in at a port.
pub struct Repeated {
    namespace: Namespace,
    ifindex: u32,
    object: Ebpf,
    stream: Array<MapData, Stream>,
    program: ProgramArray<MapData>,
    at_port: ProgramFd,
    empty: ProgramFd,
}

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The port's own.
    AtPort,
    /// One that does nothing.
    Empty,
}

/// What a program made of its last frame, and how long each took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What.
    pub verdict: Verdict,
    /// The time of one run, that of making the frame included, in whole nanoseconds.
    pub each: Duration,
}

impl Repeated {
    /// Prepares for the program that is attached to a port.
    ///
    /// # Errors
    /// None is, or the kernel refuses.
    pub fn at(namespace: &Namespace, port: &str) -> Result<Self> {
        let link = namespace.link(port)?;
        let id = link.xdp_program;
        let id = id.with_context(|| format!("there is no program at {port}"))?;
        let mut object = object::open()?;
        object::load(&mut object, "again")?;
        Ok(Self {
            namespace: namespace.clone(),
            ifindex: link.index,
            stream: object::map(&mut object, "STREAM")?,
            program: object::map(&mut object, "PROGRAM")?,
            at_port: attached(id)?,
            empty: object::load(&mut object, "empty")?.fd()?.try_clone()?,
            object,
        })
    }

    /// Runs a program so many times. `frame` is the first of the stream's, the others are as long.
    ///
    /// # Errors
    /// The kernel refuses, or somebody interrupts.
    pub fn run(&mut self, which: Which, frame: &[u8], stream: Stream, times: u32) -> Result<Ran> {
        interrupt::check()?;
        let program = match which {
            Which::AtPort => &self.at_port,
            Which::Empty => &self.empty,
        };
        self.program.set(0, program, 0)?;
        self.stream.set(0, stream, 0)?;
        let again = self.object.program("again");
        let again: &Xdp = again.context("there is no program again")?.try_into()?;
        let context = context(self.ifindex, frame);
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(&context),
            repeat: times,
            ..TestRunOptions::new()
        };
        let TestRunResult {
            return_value,
            duration: each,
            ..
        } = self
            .namespace
            .run(|| -> Result<_> {
                cpu::pin()?;
                Ok(again.test_run(options)?)
            })
            .context("run the program of a port")?;
        let verdict = return_value.try_into()?;
        Ok(Ran { verdict, each })
    }
}

/// The program with this id.
fn attached(id: u32) -> Result<ProgramFd> {
    for program in loaded_programs() {
        // One that has just been unloaded is not it.
        if let Ok(program) = program
            && program.id() == id
        {
            return Ok(program.fd()?);
        }
    }
    bail!("there is no program {id}")
}
