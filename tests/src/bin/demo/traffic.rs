//! What PC and VM say to each other: the PC's steady probes, which the VM answers, and what a busy
//! VM has to say of its own accord.

use std::{
    fmt,
    sync::MutexGuard,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lab::{
    Host,
    interrupt::wait_until,
    traffic::{
        Download, Responder, Transfer, UdpReceiver, UdpReport, UdpSender, responder::Paused,
    },
};

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

/// What the VM is doing when it is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// It sends without being asked.
    Busy,
    /// It sends nothing but answers.
    Idle,
}

/// Traffic under way.
pub struct Traffic {
    probes: Probes,
    work: Option<Work>,
}

/// Numbered packets from the PC, and the VM's answers.
struct Probes {
    sender: UdpSender,
    responder: Responder,
    answers: UdpReceiver,
}

/// What a busy VM sends to the PC: a TCP download, and numbered packets.
struct Work {
    download: Download,
    sender: UdpSender,
    receiver: UdpReceiver,
}

/// The VM's part of the traffic, while the VM stands still.
pub struct Still<'a> {
    since: Instant,
    responder: Paused<'a>,
    work: Option<[MutexGuard<'a, ()>; 2]>,
}

/// What became of the traffic.
pub struct Finished {
    /// The probes that were answered.
    pub probes: UdpReport,
    /// Probes that arrived while the VM stood still.
    pub unheard: u64,
    /// What a busy VM sent.
    pub work: Option<FinishedWork>,
}

/// What became of a busy VM's work.
pub struct FinishedWork {
    /// The download. Every byte of it is right.
    pub download: Transfer,
    /// The numbered packets.
    pub packets: UdpReport,
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "busy",
            Self::Idle => "idle",
        })
    }
}

impl Traffic {
    /// Starts the traffic, and waits until all of it arrives.
    pub fn start(pc: &Host, vm: &Host, guest: Guest) -> Result<Self> {
        let work = match guest {
            Guest::Busy => Some(Work::start(pc, vm)?),
            Guest::Idle => None,
        };
        let probes = Probes::start(pc, vm)?;
        let traffic = Self { probes, work };
        wait_until(SOON, "traffic of every kind to arrive", || {
            let arrived = traffic.probes.answers.received() > 100
                && traffic.work.as_ref().is_none_or(|work| {
                    work.download.progress() > RATE / 100 && work.receiver.received() > 100
                });
            arrived.then_some(())
        })?;
        Ok(traffic)
    }

    /// Has the VM stand still. What it has sent is in the network, which goes on delivering it.
    pub fn pause(&self) -> Result<Still<'_>> {
        let work = match &self.work {
            Some(work) => {
                let still = [work.download.pause()?, work.sender.pause()];
                drain(&work.receiver, work.sender.sent());
                Some(still)
            }
            None => None,
        };
        Ok(Still {
            since: Instant::now(),
            responder: self.probes.responder.pause(),
            work,
        })
    }

    /// How many probes have been sent.
    pub fn probes(&self) -> u64 {
        self.probes.sender.sent()
    }

    /// When the first answer came to a probe of this number or a higher one, if one has come.
    pub fn answered(&self, number: u64) -> Option<Instant> {
        self.probes.answers.arrival_from(number)
    }

    /// Stops the traffic and says what became of it.
    pub fn finish(self) -> Result<Finished> {
        let Probes {
            sender,
            responder,
            answers,
        } = self.probes;
        let probes = finish(sender, answers).context("probes")?;
        Ok(Finished {
            probes,
            unheard: responder.stop()?,
            work: self.work.map(Work::finish).transpose()?,
        })
    }
}

impl Probes {
    fn start(pc: &Host, vm: &Host) -> Result<Self> {
        let (answered_at, asked_at) = (pc.v4(5001), vm.v4(5002));
        Ok(Self {
            answers: UdpReceiver::start(&answered_at)?,
            responder: Responder::start(&asked_at, answered_at.addr)?,
            sender: UdpSender::start(&pc.v4(0), asked_at.addr, INTERVAL, SIZE)?,
        })
    }
}

impl Work {
    fn start(pc: &Host, vm: &Host) -> Result<Self> {
        let at = pc.v4(5003);
        Ok(Self {
            download: Download::start(&vm.v4(80), &pc.v4(0), u64::MAX, Some(RATE))?,
            receiver: UdpReceiver::start(&at)?,
            sender: UdpSender::start(&vm.v4(0), at.addr, INTERVAL, SIZE)?,
        })
    }

    fn finish(self) -> Result<FinishedWork> {
        let got = self.download.progress();
        wait_until(SOON, "the download to go on after the last move", || {
            (self.download.progress() > got).then_some(())
        })?;
        Ok(FinishedWork {
            download: self.download.stop().context("TCP, VM to PC")?,
            packets: finish(self.sender, self.receiver).context("UDP, VM to PC")?,
        })
    }
}

impl Still<'_> {
    /// Since when the VM stands still.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Has the VM go on, and says since when.
    pub fn resume(self) -> Instant {
        drop(self.responder);
        let resumed = Instant::now();
        drop(self.work);
        resumed
    }
}

/// Stops a stream, and gives its last packets the time to arrive.
fn finish(sender: UdpSender, receiver: UdpReceiver) -> Result<UdpReport> {
    let sent = sender.stop()?;
    drain(&receiver, sent);
    receiver.finish(sent, STRAGGLERS)
}

/// Waits until the last of so many packets has arrived: some before it may never do.
fn drain(receiver: &UdpReceiver, sent: u64) {
    if let Some(last) = sent.checked_sub(1) {
        // If it does not arrive, it is missing in the report.
        let _lost = wait_until(PATIENCE, "the last packet", || receiver.arrival_from(last));
    }
}
