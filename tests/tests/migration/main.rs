//! Live migrations of real guests between two data centres.

use std::{
    net::UdpSocket,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use lab::{
    Agent, Lab,
    agent::Running,
    fig1::RUN,
    poll_until,
    traffic::{Inbound, UdpReceiver, UdpSender},
    vm::{Account, Card, Crossing, Ears, Guest, Migrated, Parts, Plan, moves},
};
use tempfile::TempDir;

mod busy;
mod conditions;
mod failed;
mod idle;
mod postcopy;
mod tap;

/// The guest's program.
const GUEST: &str = env!("CARGO_BIN_EXE_guest");
/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// A guest moves more often here than the switch takes for sound.
const OFTEN: [&str; 2] = ["--quarantine-moves", "100"];
/// Where the client receives a busy guest's streams.
const TCP: u16 = 5003;
const UDP: u16 = 5004;
/// How often client and guest write to each other.
const INTERVAL: Duration = Duration::from_millis(1);
/// How long a guest stays where it is: an announcement does not bring it back to where it just was for a
/// second, and it announces itself for nearly as long.
const STAY: Duration = Duration::from_millis(1200);

/// Emulating guests takes all the processor there is: one lab at a time, whatever runs beside.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The figure with its switch, and gateways where they are wanted.
struct Stage {
    lab: Lab,
    switch: Running,
    gateways: Vec<Running>,
    _state: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// The first embodiment: the data centres' gateways know nothing of VMs.
    fn first() -> Result<Self> {
        let turn = turn();
        let lab = Lab::fig1()?;
        Ok(Self {
            switch: Running::start(&lab.switch, RUN.into_iter().chain(OFTEN))?,
            lab,
            gateways: Vec::new(),
            _state: TempDir::new()?,
            _turn: turn,
        })
    }

    /// The second embodiment: each data centre has a gateway that tells of idle VMs.
    fn second() -> Result<Self> {
        let mut stage = Self::first()?;
        for (index, dc) in stage.lab.dc.iter().enumerate() {
            stage.lab.open_gateway(index)?;
            let trunk = format!("up:{}", dc.tag.vid);
            let state = stage._state.path().join(format!("dc{}", index + 1));
            let state = state.to_str().context("a path that is not UTF-8")?;
            let to = ["--announce-to", "224.0.0.1", "--announce-to", "ff02::1"];
            let ports = [
                "gateway",
                "--lan",
                "lan",
                "--trunk",
                &trunk,
                "--state-dir",
                state,
            ];
            stage
                .gateways
                .push(Running::start(&dc.ns, ports.into_iter().chain(to))?);
        }
        Ok(stage)
    }

    fn switch(&self) -> &Agent {
        &self.switch.agent
    }

    fn ears(&self, plan: &Plan) -> Result<Ears> {
        Ears::open(&self.lab, plan.mac)
    }

    /// Waits until the switch has had an address move so often.
    fn wait_moves(&self, plan: &Plan, count: usize) -> Result<()> {
        let address = plan.ipv4.to_string();
        poll_until(SOON, &format!("{count} moves of {address}"), || {
            (moves(self.switch(), &address).ok()?.len() >= count).then_some(())
        })
        .with_context(|| format!("the switch said {}", self.switch().stderr()))
    }

    /// Waits until the switch has an address at a site.
    fn wait_site(&self, address: &str, site: &str) -> Result<()> {
        poll_until(SOON, &format!("{address} to be at {site}"), || {
            let flow = self.switch().flow(address).ok()??;
            (flow["site"] == site).then_some(())
        })
        .with_context(|| format!("the switch said {}", self.switch().stderr()))
    }

    /// What there is to say about the migrations of a guest, in their order: each moved its addresses
    /// once, and to where it went.
    fn crossings(
        &self,
        plan: &Plan,
        account: &Account,
        migrations: &[(usize, Migrated)],
    ) -> Result<Vec<Crossing>> {
        let moved = moves(self.switch(), &plan.ipv4.to_string())?;
        ensure!(
            moved.len() == migrations.len(),
            "{migrations:?} made {moved:?}"
        );
        let put_together = migrations.iter().zip(&moved).enumerate();
        put_together
            .map(|(number, ((dc, migrated), moved))| {
                let crossing = Crossing::new(account, migrated, *dc, moved)?;
                println!("migration {} to dc{}: {crossing}", number + 1, dc + 1);
                Ok(crossing)
            })
            .collect()
    }

    /// Whether the switch has lost nothing, by its own account. Announcements end there.
    fn no_faults(&self) -> Result<()> {
        let stats = self.switch().stats()?;
        let faults: Vec<_> = stats
            .faults()
            .into_iter()
            .filter(|(what, _)| *what != "rarp")
            .collect();
        ensure!(faults.is_empty(), "{faults:?}");
        Ok(())
    }
}

/// Boots a guest in DC 1.
fn boot(lab: &Lab, plan: &Plan) -> Result<Guest> {
    let parts = Parts::new(plan.card, Path::new(GUEST))?;
    Guest::boot(lab, 0, plan.clone(), parts)
}

/// A guest that sends all the time: a TCP stream and a numbered UDP stream, with the client that
/// receives both, and writes to it as often.
struct Busy {
    ears: Ears,
    guest: Guest,
    writer: UdpSender,
    tcp: Inbound,
    udp: UdpReceiver,
}

impl Busy {
    /// Boots it in DC 1.
    fn boot(lab: &Lab) -> Result<Self> {
        Self::boot_with(lab, Card::Virtio)
    }

    /// The same with another card.
    fn boot_with(lab: &Lab, card: Card) -> Result<Self> {
        let plan = Self::plan(lab, card);
        Self::start(lab, &plan, || boot(lab, &plan))
    }

    /// What such a guest is.
    fn plan(lab: &Lab, card: Card) -> Plan {
        let (tcp, udp) = (lab.client.v4(TCP).addr, lab.client.v4(UDP).addr);
        let (tcp, udp) = (tcp.to_string(), udp.to_string());
        let task = [
            "--tcp",
            &tcp,
            "--udp",
            &udp,
            "--interval",
            "1000",
            "--discard",
            "9",
        ];
        Plan::vm13(&task).with(card)
    }

    /// Opens all ears, has the guest boot, and waits until both streams arrive.
    fn start(lab: &Lab, plan: &Plan, boot: impl FnOnce() -> Result<Guest>) -> Result<Self> {
        let ears = Ears::open(lab, plan.mac)?;
        let tcp = Inbound::listen(&lab.client.v4(TCP))?;
        let udp = UdpReceiver::start(&lab.client.v4(UDP))?;
        let guest = boot()?;
        let to = (plan.ipv4, 9).into();
        let busy = Self {
            ears,
            guest,
            writer: UdpSender::start(&lab.client.v4(0), to, INTERVAL, 64)?,
            tcp,
            udp,
        };
        busy.goes_on()?;
        Ok(busy)
    }

    /// Waits until more of both streams arrives.
    fn goes_on(&self) -> Result<()> {
        self.tcp
            .wait_for_more(100_000, SOON)
            .with_context(|| self.guest.machine().said())?;
        self.udp.wait_for(self.udp.received() + 100, SOON)
    }

    /// Ends the streams: the guest stands still, and what it has sent arrives. Gives the numbered packets
    /// that reached the client; every byte of the TCP stream was right.
    fn finish(self) -> Result<Account> {
        self.writer.stop()?;
        self.guest.pause()?;
        let account = self.ears.close()?;
        let stream = self.tcp.stop()?;
        let packets = self.udp.finish(0, Duration::ZERO)?;
        ensure!(
            (packets.reordered, packets.duplicated) == (0, 0),
            "the numbered stream: {packets}"
        );
        println!(
            "TCP: {} bytes right, longest stall {:.1?}; UDP: {} packets in order, {} lost on the way to the \
             switch",
            stream.bytes,
            stream.longest_stall,
            packets.received,
            packets.missing().len()
        );
        Ok(account)
    }
}

/// Has a guest with `--echo` answer a packet of the client, the first that is sent.
fn answers(lab: &Lab, plan: &Plan) -> Result<Duration> {
    let (from, at) = (lab.client.v4(4000).udp()?, lab.client.v4(4001).udp()?);
    let started = std::time::Instant::now();
    ask(&from, &at, plan)?;
    Ok(started.elapsed())
}

fn ask(from: &UdpSocket, at: &UdpSocket, plan: &Plan) -> Result<()> {
    at.set_read_timeout(Some(SOON))?;
    from.send_to(b"there?", (plan.ipv4, 7))?;
    let mut answer = [0; 16];
    let length = at
        .recv(&mut answer)
        .context("wait for the guest's answer")?;
    ensure!(
        &answer[..length] == b"there?",
        "the guest answered {answer:?}"
    );
    Ok(())
}

/// Has the guest stay for a while after a migration.
fn stay(migrated: &Migrated) -> Result<()> {
    poll_until(SOON, "the guest to have stayed", || {
        (migrated.resumed.elapsed() >= STAY).then_some(())
    })
}

/// The value in the middle.
fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
