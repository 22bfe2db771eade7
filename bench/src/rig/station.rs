//! The far end of a cable: where frames come from, and where they are counted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aya::{
    Ebpf, TestRun as _, TestRunAttrs, TestRunOptions,
    maps::{Array, MapData, PerCpuArray},
    programs::Xdp,
};
use bench_ebpf::Stream;
use lab::{Namespace, interrupt};

use super::{Traffic, cpu, object};

/// How many frames the kernel makes between two flushes of what was redirected: what a driver takes
/// from its ring at a time (`NAPI_POLL_WEIGHT`).
const BATCH: u32 = 64;
/// How many frames between two looks at the clock.
const BURST: u32 = 256 * BATCH;

/// A port with nothing behind it but a generator of frames, and a sink for those that arrive.
pub struct Station {
    namespace: Namespace,
    port: &'static str,
    ifindex: u32,
    object: Ebpf,
    stream: Array<MapData, Stream>,
    arrived: PerCpuArray<MapData, u64>,
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

    /// How many frames have ever arrived.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn arrived(&self) -> Result<u64> {
        Ok(self.arrived.get(&0, 0)?.iter().sum())
    }

    /// Sends into the cable for so long, as fast as the kernel goes.
    ///
    /// Generator, switch and sink run on one CPU, the same one each time, as the softirqs of one
    /// receive queue do.
    ///
    /// # Errors
    /// The kernel refuses, or somebody interrupts.
    pub fn send(&mut self, traffic: &Traffic, time: Duration) -> Result<()> {
        self.stream.set(0, traffic.stream(), 0)?;
        let source: &Xdp = self
            .object
            .program("source")
            .context("there is no program source")?
            .try_into()?;
        let frame = traffic.frame();
        let context = context(self.ifindex, &frame);
        self.namespace
            .run(|| -> Result<()> {
                cpu::pin()?;
                let start = Instant::now();
                while start.elapsed() < time {
                    interrupt::check()?;
                    source.test_run(TestRunOptions {
                        data_in: Some(&frame),
                        ctx_in: Some(&context),
                        repeat: BURST,
                        attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                        ..TestRunOptions::new()
                    })?;
                }
                Ok(())
            })
            .with_context(|| format!("send frames into {}: {traffic}", self.port))
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
