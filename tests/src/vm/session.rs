//! A guest and the client that has to do with it, with captures of all that passes between them.

use std::{
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Account, Card, Ears, Guest, Plan};
use crate::{
    Lab, poll_until,
    traffic::{Inbound, Transfer, UdpReceiver, UdpReport, UdpSender},
};

/// How long anything may take that should happen soon, on a machine that emulates others.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the client receives a busy guest's streams.
const TCP: u16 = 5003;
const UDP: u16 = 5004;
/// Where the guest takes what the client writes, and says nothing to it.
const DISCARD: u16 = 9;
/// How often client and guest write to each other.
pub const INTERVAL: Duration = Duration::from_millis(1);

/// What a guest does of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// It sends a TCP stream and a numbered UDP stream to the client, all the time.
    Busy,
    /// It sends nothing.
    Idle,
}

/// A guest to which the client writes all the time.
#[derive(Debug)]
pub struct Session {
    /// The guest.
    pub guest: Guest,
    ears: Ears,
    writer: UdpSender,
    streams: Option<Streams>,
}

/// What the client receives of a busy guest.
#[derive(Debug)]
struct Streams {
    tcp: Inbound,
    udp: UdpReceiver,
}

/// What became of all that was sent.
#[derive(Debug)]
pub struct Finished {
    /// What reached the switch from the guest, and the client.
    pub account: Account,
    /// The client's packets that came out on the guest's LAN: that of the data centre which the switch had it
    /// in then.
    pub written: UdpReport,
    /// What a busy guest sent.
    pub streams: Option<FinishedStreams>,
}

/// What a busy guest's streams were like.
#[derive(Debug)]
pub struct FinishedStreams {
    /// The TCP stream, of which every byte was right.
    pub stream: Transfer,
    /// The numbered packets, of which none came twice or out of order. What is missing has not reached the
    /// switch, if that has lost nothing.
    pub packets: UdpReport,
}

impl Session {
    /// What such a guest is.
    #[must_use]
    pub fn plan(lab: &Lab, habit: Habit, card: Card) -> Plan {
        let discard = DISCARD.to_string();
        let mut task = vec!["--discard", &discard];
        let (tcp, udp) = (lab.client.v4(TCP).addr, lab.client.v4(UDP).addr);
        let (tcp, udp) = (tcp.to_string(), udp.to_string());
        let interval = INTERVAL.as_micros().to_string();
        if habit == Habit::Busy {
            task.extend(["--tcp", &tcp, "--udp", &udp, "--interval", &interval]);
        }
        Plan::vm13(&task).with(card)
    }

    /// Opens all ears, has the guest boot, and waits until its streams arrive, if it has any.
    ///
    /// # Errors
    /// When it does not boot, or its streams do not arrive.
    pub fn start(lab: &Lab, habit: Habit, boot: impl FnOnce() -> Result<Guest>) -> Result<Self> {
        let mac = Plan::vm13(&[]).mac;
        let ears = Ears::open(lab, mac)?;
        let streams = match habit {
            Habit::Idle => None,
            Habit::Busy => Some(Streams {
                tcp: Inbound::listen(&lab.client.v4(TCP))?,
                udp: UdpReceiver::start(&lab.client.v4(UDP))?,
            }),
        };
        let guest = boot()?;
        let to = SocketAddrV4::new(guest.plan().ipv4, DISCARD);
        find(lab, to, &ears)?;
        let session = Self {
            guest,
            ears,
            writer: UdpSender::start(&lab.client.v4(0), to.into(), INTERVAL, 64)?,
            streams,
        };
        session.goes_on()?;
        Ok(session)
    }

    /// Waits until more of both streams arrives, if the guest is busy.
    ///
    /// # Errors
    /// When it does not.
    pub fn goes_on(&self) -> Result<()> {
        let Some(Streams { tcp, udp }) = &self.streams else {
            return Ok(());
        };
        tcp.wait_for_more(100_000, PATIENCE)
            .with_context(|| format!("the guest said: {}", self.guest.machine().said()))?;
        udp.wait_for(udp.received() + 100, PATIENCE)
    }

    /// Ends it: the guest stands still, and what it has sent arrives.
    ///
    /// # Errors
    /// When a byte of a stream was wrong, or a packet came twice or out of order.
    pub fn finish(self) -> Result<Finished> {
        let sent = self.writer.stop()?;
        self.guest.pause()?;
        let account = self.ears.close()?;
        let Some(Streams { tcp, udp }) = self.streams else {
            return Ok(Finished {
                written: written(&account, sent),
                account,
                streams: None,
            });
        };
        let stream = tcp.stop()?;
        let packets = udp.finish(0, Duration::ZERO)?;
        let wrong = (packets.reordered, packets.duplicated);
        ensure!(wrong == (0, 0), "the numbered stream: {packets}");
        Ok(Finished {
            written: written(&account, sent),
            account,
            streams: Some(FinishedStreams { stream, packets }),
        })
    }
}

/// Has the client find out where the guest is. Or all that it writes until then would come in one burst, which
/// its own cable may not take.
fn find(lab: &Lab, guest: SocketAddrV4, ears: &Ears) -> Result<()> {
    /// Longer than the client waits for an answer to its question, and so few at a time.
    const TRY: Duration = Duration::from_millis(1500);
    let socket = lab.client.v4(0).udp()?;
    let started = Instant::now();
    loop {
        socket
            .send_to(b"first", guest)
            .context("write to the guest")?;
        let found = poll_until(TRY, "the client to find the guest", || {
            ears.any_heard().then_some(())
        });
        if found.is_ok() || started.elapsed() > PATIENCE {
            return found;
        }
    }
}

/// What became of the client's packets.
fn written(account: &Account, sent: u64) -> UdpReport {
    let numbered = account.reached.iter();
    let numbered = numbered.filter_map(|reached| Some((reached.number?, reached.at)));
    UdpReport::new(sent, numbered.collect())
}
