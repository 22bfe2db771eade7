//! What the systems of the patent have in common.

use anyhow::Result;
use clap::ValueEnum;
use lab::{Agent, Lab};

pub mod first;

/// The systems, as `--system` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Fig. 1 to 4: the switch learns from the packets that the VM sends at its new place
    First,
}

/// A way in which the PC's side learns that a VM has moved.
pub trait System: Sized {
    /// As [`Name`] has it.
    const NAME: &'static str;
    /// What makes the switch change its flow table.
    const TRIGGER: &'static str;
    /// How many things an operator enters for a VM or a move.
    const OPERATOR_INPUTS: u32;

    /// Starts everything of the system in the lab: the switch forwards when this returns.
    fn start(lab: &Lab) -> Result<Self>;

    /// The switch that stands between the PC and the data centres.
    fn switch(&self) -> &Agent;

    /// Kills the part that decides, with no chance to clean up, and starts it again.
    fn restart(self) -> Result<Self>;
}
