//! A running guest.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use vm::{Machine, Qemu};

use super::parts::Parts;
use crate::{Lab, Mac, fig1::BRIDGE, process};

/// How long a guest may take to boot, on a machine that is busy with others.
const BOOT: Duration = Duration::from_secs(120);
/// What a guest says once it does what it shall.
const READY: &str = "guest: ready";
/// What is off in a guest's virtio-net card: everything that leaves a frame's checksum or its cutting up
/// to somebody else. XDP forwards frames as they are, and nobody else comes.
const OFFLOADS: [&str; 15] = [
    "csum",
    "gso",
    "guest_csum",
    "guest_ecn",
    "guest_tso4",
    "guest_tso6",
    "guest_ufo",
    "guest_uso4",
    "guest_uso6",
    "host_ecn",
    "host_tso4",
    "host_tso6",
    "host_ufo",
    "host_uso",
    "mrg_rxbuf",
];

/// The network card that a guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Card {
    /// virtio-net, whose driver announces the guest by itself after a migration (GARP and NA).
    Virtio,
    /// The same as QEMU has it by default: checksums and segmentation are left to the host.
    VirtioOffloading,
    /// The same without: QEMU's RARP is all there is.
    VirtioSilent,
    /// An Intel card, whose driver knows nothing of migrations.
    E1000,
}

/// What a guest is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its network card.
    pub card: Card,
    /// The card's address.
    pub mac: Mac,
    /// Its IPv4 address, in a /24.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address, in a /64.
    pub ipv6: Ipv6Addr,
    /// What it does, as the guest's program takes it: `--echo 7`.
    pub task: Vec<String>,
}

/// A guest under way. Dropping it kills its QEMU.
#[derive(Debug)]
pub struct Guest {
    pub(super) plan: Plan,
    pub(super) parts: Parts,
    pub(super) machine: Machine,
    pub(super) dc: usize,
}

impl Plan {
    /// VM 13 of the figure, with a virtio-net card.
    #[must_use]
    pub fn vm13(task: &[&str]) -> Self {
        Self {
            card: Card::Virtio,
            mac: [0x52, 0x54, 0, 0, 0, 13],
            ipv4: Ipv4Addr::new(10, 0, 0, 13),
            ipv6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13),
            task: task.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// The same with another card.
    #[must_use]
    pub fn with(self, card: Card) -> Self {
        Self { card, ..self }
    }

    /// Starts its machine in a data centre, with a tap that `join` makes one of the LAN's or not.
    pub(super) fn start(
        &self,
        parts: &Parts,
        lab: &Lab,
        dc: usize,
        more: &[&str],
        join: bool,
    ) -> Result<Machine> {
        let mut command = self.machine(parts.qemu(), lab, dc, join)?;
        parts.boot(&mut command);
        command.args(["-append", &self.kernel_line()]).args(more);
        Machine::start(command)
    }

    /// Starts its machine in a data centre's LAN, but without a guest: all that it can do is to announce
    /// itself.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start_hollow(&self, qemu: &Qemu, lab: &Lab, dc: usize) -> Result<Machine> {
        // Not paused: such a one's card sends nothing. Its firmware finds nothing to boot, and stops.
        Machine::start(self.machine(qemu, lab, dc, true)?)
    }

    /// QEMU with its card and memory, in a data centre.
    fn machine(&self, qemu: &Qemu, lab: &Lab, dc: usize, join: bool) -> Result<Command> {
        let lan = &lab.site(dc)?.ns;
        let tap = lan.open_tap(TAP, self.card != Card::E1000)?;
        if join {
            lan.set_bridge(TAP, Some(BRIDGE))?;
        }
        let mut command = lan.command(qemu.program());
        process::tie(&mut command);
        let number = tap.as_raw_fd();
        hand_over(&mut command, tap);
        qemu.prepare(&mut command);
        command
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-machine", "pc", "-m", "128", "-smp", "1"])
            .args(["-netdev", &format!("tap,id=lan,fd={number}")])
            .args(["-device", &self.device()]);
        Ok(command)
    }

    fn kernel_line(&self) -> String {
        let Self {
            ipv4, ipv6, task, ..
        } = self;
        // The clock of the emulated processor is right, whatever measuring it on a busy machine says.
        format!(
            "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on no_timer_check \
             tsc=reliable -- --ipv4 {ipv4} --ipv6 {ipv6} {}",
            task.join(" ")
        )
    }

    fn device(&self) -> String {
        let mac = self.mac.map(|byte| format!("{byte:02x}")).join(":");
        match self.card {
            Card::E1000 => format!("e1000,netdev=lan,romfile=,mac={mac}"),
            Card::VirtioOffloading => format!("virtio-net-pci,netdev=lan,romfile=,mac={mac}"),
            Card::Virtio | Card::VirtioSilent => {
                let announce = if self.card == Card::Virtio {
                    "on"
                } else {
                    "off"
                };
                let offloads = OFFLOADS.map(|name| format!("{name}=off")).join(",");
                format!(
                    "virtio-net-pci,netdev=lan,romfile=,mac={mac},guest_announce={announce},{offloads}"
                )
            }
        }
    }
}

/// A guest's tap, the same in every data centre.
pub const TAP: &str = "tap-guest";

impl Guest {
    /// Boots a guest in a data centre's LAN, and waits until it does what it shall. The network it needs for
    /// that must be there.
    ///
    /// # Errors
    /// When it does not get so far; with what it said.
    pub fn boot(lab: &Lab, dc: usize, plan: Plan, parts: Parts) -> Result<Self> {
        let mut guest = Self::start(lab, dc, plan, parts)?;
        lab.site(dc)?.ns.set_bridge(TAP, Some(BRIDGE))?;
        guest.wait_ready()?;
        Ok(guest)
    }

    /// Begins to boot a guest in a data centre, with its tap [`TAP`] on no LAN yet.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start(lab: &Lab, dc: usize, plan: Plan, parts: Parts) -> Result<Self> {
        let machine = plan.start(&parts, lab, dc, &[], false)?;
        Ok(Self {
            plan,
            parts,
            machine,
            dc,
        })
    }

    /// Waits until it does what it shall.
    ///
    /// # Errors
    /// As [`Guest::boot`].
    pub fn wait_ready(&mut self) -> Result<()> {
        self.machine.wait_said(READY, BOOT)
    }

    /// The data centre it is in, as an index of [`Lab::dc`].
    #[must_use]
    pub fn dc(&self) -> usize {
        self.dc
    }

    /// What it is.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Has it stand still until it is resumed.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub fn pause(&self) -> Result<()> {
        let qmp = self.machine.qmp();
        qmp.execute("stop", serde_json::json!({})).map(drop)
    }

    /// Whether it runs now.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn runs(&self) -> Result<bool> {
        let status = self
            .machine
            .qmp()
            .execute("query-status", serde_json::json!({}))?;
        status["running"]
            .as_bool()
            .context("QEMU does not say whether it runs")
    }
}

/// Has a command's process inherit a descriptor, under the number it has here.
fn hand_over(command: &mut Command, descriptor: OwnedFd) {
    let keep = move || {
        fcntl(&descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call on a descriptor that it keeps open
    // itself; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(keep) };
}
