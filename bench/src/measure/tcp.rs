//! One TCP stream from a VM to the client, beside the Linux bridge.

use std::{any::Any, net::Ipv4Addr, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{Host, Tag, interrupt::wait_until, traffic::tcp::download};
use serde_json::Value;

use super::Plan;
use crate::{
    report::{Against, Goal, Outcome, Row, Samples, Section, Unit},
    rig::{
        Cables, VLAN,
        process::{self, Process},
        system::{Bridge, Switch},
    },
};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const VM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
/// Nobody uses it: a host of the lab has one.
const PREFIX_V6: [u16; 7] = [0xfd00, 0, 0, 0, 0, 0, 0];
const PORT: u16 = 5201;
const IPERF3: &str = "iperf3";
/// How long somebody may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is fetched without iperf3.
const BYTES: u64 = 256 << 20;

/// A client and a VM with a system between them.
struct Line {
    // First, for it is at the ports and lets go of them.
    _system: Box<dyn Any>,
    client: Host,
    vm: Host,
    _cables: Cables,
}

/// Measures it.
///
/// # Errors
/// When a system does not start, or a stream does not arrive.
pub fn measure(plan: &Plan) -> Result<Section> {
    let switch = Line::through_switch()?;
    let bridge = Line::through_bridge()?;
    let iperf3 = if process::is_installed(IPERF3) {
        let seconds = plan.pick(1, 5);
        compare(plan, IPERF3, [&switch, &bridge], |line| {
            line.iperf3(seconds)
        })?
    } else {
        Row {
            what: IPERF3.to_owned(),
            ours: Outcome::Missing(format!("{IPERF3} is not installed")),
            against: None,
            goal: None,
        }
    };
    let lab = "a download of which every byte is checked";
    Ok(Section {
        name: "tcp",
        title: "One TCP stream from a VM to the client",
        rows: vec![
            iperf3,
            compare(plan, lab, [&switch, &bridge], Line::download)?,
        ],
    })
}

/// Measures both in turn.
fn compare(
    plan: &Plan,
    what: &str,
    [switch, bridge]: [&Line; 2],
    rate: impl Fn(&Line) -> Result<f64>,
) -> Result<Row> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.pick(3, plan.repetitions) {
        ours.push(rate(switch)?);
        theirs.push(rate(bridge)?);
    }
    let samples = |rates| Samples::new(rates).context("nothing was measured");
    let (ours, theirs) = (samples(ours)?, samples(theirs)?);
    Ok(Row {
        what: what.to_owned(),
        against: Some(Against {
            name: "Linux bridge",
            ratio: ours.over(&theirs),
            outcome: Outcome::Measured(theirs, Unit::BitsPerSecond),
        }),
        ours: Outcome::Measured(ours, Unit::BitsPerSecond),
        goal: Some(Goal::AtLeast(1.0)),
    })
}

impl Line {
    fn through_switch() -> Result<Self> {
        let cables = Cables::lay()?;
        let switch = Switch::start(&cables.switch, &[], 0)?;
        let line = Self::new(cables, switch)?;
        line.vm.join_vlan(Tag::c(VLAN))?;
        Ok(line)
    }

    /// Nobody has a tag: a kernel need not have what makes a bridge change them.
    fn through_bridge() -> Result<Self> {
        let cables = Cables::lay()?;
        let bridge = Bridge::start(&cables.switch)?;
        let line = Self::new(cables, bridge)?;
        line.vm.join_vlan(Tag::c(VLAN))?;
        line.client.join_vlan(Tag::c(VLAN))?;
        Ok(line)
    }

    fn new(cables: Cables, system: impl Any) -> Result<Self> {
        let host = |ns: &lab::Namespace, port, ipv4: Ipv4Addr| {
            let [a, b, c, d, e, f, g] = PREFIX_V6;
            let last = u16::from(ipv4.octets()[3]);
            Host::new(ns.clone(), port, ipv4, [a, b, c, d, e, f, g, last].into())
        };
        let line = Self {
            _system: Box::new(system),
            client: host(&cables.client, "pc0", CLIENT)?,
            vm: host(&cables.sites, "pt0", VM)?,
            _cables: cables,
        };
        line.client.introduce(&line.vm)?;
        Ok(line)
    }

    /// Bits a second, as iperf3 has them at the receiver.
    fn iperf3(&self, seconds: u32) -> Result<f64> {
        let mut server = self.vm.ns.command(IPERF3);
        let vm = VM.to_string();
        server.args(["--server", "--bind", &vm, "--port", &PORT.to_string()]);
        let _server = Process::start(server)?;
        let mut last = Value::Null;
        let rate = wait_until(PATIENCE, "iperf3's server to listen", || {
            last = match self.ask(&vm, seconds) {
                Ok(report) => report,
                Err(error) => return Some(Err(error)),
            };
            last["end"]["sum_received"]["bits_per_second"]
                .as_f64()
                .map(Ok)
        });
        rate.with_context(|| format!("iperf3 reported {last}"))?
    }

    /// What iperf3's client reports, even if that is an error.
    fn ask(&self, vm: &str, seconds: u32) -> Result<Value> {
        let mut client = self.client.ns.command(IPERF3);
        client
            .args(["--client", vm, "--port", &PORT.to_string()])
            .args(["--reverse", "--json", "--time", &seconds.to_string()])
            .stdin(Stdio::null());
        let output = client.output().context("start iperf3")?;
        serde_json::from_slice(&output.stdout).context("read iperf3's report")
    }

    /// Bits a second of the lab's own download.
    fn download(&self) -> Result<f64> {
        let fetched = download(&self.vm.v4(PORT), &self.client.v4(0), BYTES, PATIENCE * 3)?;
        ensure!(!fetched.elapsed.is_zero(), "{BYTES} bytes in no time");
        Ok(fetched.bytes as f64 * 8.0 / fetched.elapsed.as_secs_f64())
    }
}
