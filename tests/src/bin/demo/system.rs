//! What the systems of the patent have in common.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use lab::{Agent, Lab, Vm};

use crate::{
    news::{self, Ear},
    traffic::Guest,
};

pub mod conventional;
pub mod first;
pub mod second;

/// The systems, as `--system` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Fig. 1 to 4: the switch learns from the packets that a busy VM sends at its new place
    First,
    /// Fig. 5 and 6: for an idle VM, the gateway of its new place sends a learning packet
    Second,
    /// Fig. 7: a helper at the VM's new place tells a control device, which orders the switch
    Conventional,
    /// One after the other
    All,
}

/// A way in which the PC's side learns that a VM has moved.
pub trait System: Sized {
    /// As [`Name`] has it.
    const NAME: &'static str;
    /// As people call it.
    const TITLE: &'static str;
    /// Where the patent draws it.
    const FIGURES: &'static str;
    /// What the VM is doing when it is moved.
    const GUEST: Guest;
    /// How long the VM stays where it is: longer than what guards against moving back.
    const STAY: Duration;

    /// Starts everything of the system in the lab: the switch forwards when this returns.
    fn start(lab: &Lab, vm: &Vm) -> Result<Self>;

    /// The switch that stands between the PC and the data centres.
    fn switch(&self) -> &Agent;

    /// Begins to listen for the news that the VM is at another data centre.
    fn listen(&self, lab: &Lab, vm: &Vm, to: usize) -> Result<Ear> {
        news::at_vpn(lab, vm, to)
    }

    /// How many lines about sites and VMs an operator keeps up to date, beside what the switch's
    /// own ports are.
    fn operator_lines(&self) -> usize {
        0
    }

    /// Kills our agents, with no chance to clean up, and starts them again.
    fn restart(self) -> Result<Self>;

    /// Kills the control device for good, and says whether there was one.
    fn kill_control_device(&mut self) -> Result<bool> {
        Ok(false)
    }
}

/// What the switch is told in every system. The VM moves more often than an operator would have it,
/// so that guard is loosened.
pub const SWITCH: [&str; 9] = [
    "run",
    "--client",
    "c0",
    "--site",
    "dc1=t0:1",
    "--site",
    "dc2=t0:2",
    "--quarantine-moves",
    "1000",
];
