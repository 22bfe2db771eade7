//! What PC and VM say to each other all the time: a TCP download from the VM, and numbered UDP
//! packets both ways.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use lab::{
    Endpoint, Host,
    traffic::{Download, Transfer, UdpReceiver, UdpReport, UdpSender},
};

use crate::interrupt::wait_until;

/// How fast the download is, in bytes a second: fast enough to be felt, slow enough for any machine.
pub const RATE: u64 = 10_000_000;
/// The time between two packets of a stream. No gap can be measured more exactly than this.
pub const INTERVAL: Duration = Duration::from_micros(500);

/// A UDP packet's payload.
const SIZE: usize = 200;
/// How long the last packet may be under way.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much later one may arrive that was sent before it.
const STRAGGLERS: Duration = Duration::from_millis(50);
/// How long anything may take that should happen at once.
const SOON: Duration = Duration::from_secs(5);

/// Traffic under way.
pub struct Traffic {
    /// From the VM to the PC.
    pub download: Download,
    /// From the VM to the PC.
    pub from_vm: Stream,
    /// From the PC to the VM.
    pub to_vm: Stream,
}

/// A numbered stream under way.
pub struct Stream {
    /// One end.
    pub sender: UdpSender,
    /// The other.
    pub receiver: UdpReceiver,
}

/// What became of the traffic.
pub struct Finished {
    /// The download.
    pub download: Transfer,
    /// The stream from the VM to the PC.
    pub from_vm: UdpReport,
    /// The stream from the PC to the VM.
    pub to_vm: UdpReport,
}

impl Traffic {
    /// Starts the traffic, and waits until all of it arrives.
    pub fn start(pc: &Host, vm: &Host) -> Result<Self> {
        let traffic = Self {
            download: Download::start(&vm.v4(80), &pc.v4(0), u64::MAX, Some(RATE))?,
            from_vm: Stream::start(&vm.v4(0), &pc.v4(5001))?,
            to_vm: Stream::start(&pc.v4(0), &vm.v4(5002))?,
        };
        wait_until(SOON, "traffic of every kind to arrive", || {
            let arrived = traffic.download.progress() > RATE / 100
                && traffic.from_vm.receiver.received() > 100
                && traffic.to_vm.receiver.received() > 100;
            arrived.then_some(())
        })?;
        Ok(traffic)
    }

    /// Stops the traffic and says what became of it. Every byte of the download is right then.
    pub fn finish(self) -> Result<Finished> {
        let got = self.download.progress();
        wait_until(SOON, "the download to go on after the last move", || {
            (self.download.progress() > got).then_some(())
        })?;
        Ok(Finished {
            download: self.download.stop().context("TCP, VM to PC")?,
            from_vm: self.from_vm.finish().context("UDP, VM to PC")?,
            to_vm: self.to_vm.finish().context("UDP, PC to VM")?,
        })
    }
}

impl Stream {
    fn start(from: &Endpoint, to: &Endpoint) -> Result<Self> {
        let destination: SocketAddr = to.addr;
        let receiver = UdpReceiver::start(to)?;
        let sender = UdpSender::start(from, destination, INTERVAL, SIZE)?;
        Ok(Self { sender, receiver })
    }

    /// Waits until what has been sent so far has arrived, but for what is lost.
    pub fn drain(&self) {
        drain(&self.receiver, self.sender.sent());
    }

    fn finish(self) -> Result<UdpReport> {
        let sent = self.sender.stop()?;
        drain(&self.receiver, sent);
        self.receiver.finish(sent, STRAGGLERS)
    }
}

/// Waits until the last of so many packets has arrived: some before it may never do.
fn drain(receiver: &UdpReceiver, sent: u64) {
    if let Some(last) = sent.checked_sub(1) {
        // If it does not arrive, it is missing in the report.
        let _lost = wait_until(PATIENCE, "the last packet", || receiver.arrival_from(last));
    }
}
