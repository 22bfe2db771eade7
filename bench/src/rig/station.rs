//! The far end of a cable: where frames come from, and where they are counted.

use std::time::Duration;

use anyhow::{Context, Result};
use aya::{
    Ebpf, TestRun as _, TestRunAttrs, TestRunOptions,
    maps::{Array, MapData, PerCpuArray, PerCpuValues},
    programs::Xdp,
};
use bench_ebpf::{Arrived, Stream};
use lab::{Namespace, interrupt};

use super::{Traffic, cpu, object};

/// How many frames the kernel makes between two flushes of what was redirected: what a driver takes
/// from its ring at a time (`NAPI_POLL_WEIGHT`).
const BATCH: u32 = 64;

/// A port with nothing behind it but a generator of frames, and a sink for those that arrive.
pub struct Station {
    namespace: Namespace,
    port: &'static str,
    ifindex: u32,
    object: Ebpf,
    stream: Array<MapData, Stream>,
    arrived: PerCpuArray<MapData, Arrived>,
}

impl Station {
    /// Sets one up at a port.
    ///
    /// # Errors
    /// The kernel refuses the programs.
    pub fn at(namespace: &Namespace, port: &'static str) -> Result<Self> {
        let mut object = object::open()?;
        let stream = object::map(&mut object, "STREAM")?;
        let arrived = object::map(&mut object, "ARRIVED")?;
        object::load(&mut object, "source")?;
        object::attach(&mut object, "sink", namespace, port)?;
        Ok(Self {
            namespace: namespace.clone(),
            port,
            ifindex: namespace.link(port)?.index,
            object,
            stream,
            arrived,
        })
    }

    /// Forgets what has arrived.
    ///
    /// # Errors
    /// The kernel does not.
    pub fn forget(&mut self) -> Result<()> {
        let cpus = self.arrived.get(&0, 0)?.len();
        let none = PerCpuValues::try_from(vec![Arrived::default(); cpus])?;
        Ok(self.arrived.set(0, none, 0)?)
    }

    /// How many frames a second have arrived since; nothing where too few have.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn rate(&self) -> Result<Option<f64>> {
        let cpus = self.arrived.get(&0, 0)?;
        let busy = || cpus.iter().filter(|cpu| cpu.timed() > 0);
        let frames: u64 = busy().map(Arrived::timed).sum();
        let first_ns = busy().map(|cpu| cpu.first_ns).min().unwrap_or(0);
        let last_ns = busy().map(|cpu| cpu.last_ns).max().unwrap_or(0);
        let time = Duration::from_nanos(last_ns - first_ns);
        Ok((!time.is_zero()).then(|| frames as f64 / time.as_secs_f64()))
    }

    /// Sends so many frames into the cable, as fast as the kernel goes, and says how long each took.
    /// It takes the kernel tens of milliseconds more to begin and to end.
    ///
    /// Generator, switch and sink run on one CPU, the same one each time, as the softirqs of one
    /// receive queue do.
    ///
    /// # Errors
    /// The kernel refuses, or somebody interrupts.
    pub fn send(&mut self, traffic: &Traffic, frames: u32) -> Result<Duration> {
        interrupt::check()?;
        self.stream.set(0, traffic.stream(), 0)?;
        let source: &Xdp = self
            .object
            .program("source")
            .context("there is no program source")?
            .try_into()?;
        let frame = traffic.frame();
        let context = context(self.ifindex, &frame);
        let options = TestRunOptions {
            data_in: Some(&frame),
            ctx_in: Some(&context),
            repeat: frames,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::new()
        };
        let sent = self.namespace.run(|| -> Result<_> {
            cpu::pin()?;
            Ok(source.test_run(options)?)
        });
        let sent = sent.with_context(|| format!("send into {}: {traffic}", self.port))?;
        Ok(sent.duration)
    }
}

/// `struct xdp_md` of linux/bpf.h for a whole frame that comes in at a port: where the data begin and
/// end, where the metadata begin, and the port.
pub fn context(ifindex: u32, frame: &[u8]) -> Vec<u8> {
    let fields = [0, frame.len() as u32, 0, ifindex, 0, 0];
    fields
        .iter()
        .flat_map(|field| field.to_ne_bytes())
        .collect()
}
