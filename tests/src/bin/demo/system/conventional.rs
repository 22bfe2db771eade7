//! The conventional system (Fig. 7): a helper on each data centre's LAN, and a control device that
//! orders the switch, which learns nothing by itself.

use std::time::Duration;

use anyhow::Result;
use lab::{Agent, Lab, Vm, interrupt::wait_until};

use super::{SWITCH, System};
use crate::{
    news::{Ear, News, PATIENCE, Trigger},
    traffic::Guest,
};

/// The lab's.
pub struct Conventional(lab::Conventional);

impl System for Conventional {
    const NAME: &'static str = "conventional";
    const TITLE: &'static str = "Conventional system";
    const FIGURES: &'static str = "Fig. 7";
    const GUEST: Guest = Guest::Idle;
    // A helper says nothing twice within 1 s, and hears of every second move.
    const STAY: Duration = Duration::from_millis(600);

    fn start(lab: &Lab, vm: &Vm) -> Result<Self> {
        lab::Conventional::start(lab, SWITCH, &[(vm.ipv4, vm.dc())].into()).map(Self)
    }

    fn switch(&self) -> &Agent {
        self.0.switch()
    }

    fn listen(&self, _lab: &Lab, _vm: &Vm, _to: usize) -> Result<Ear> {
        let reports = self.0.reports().clone();
        let before = reports.moves().len();
        Ok(Box::new(move || {
            let moved = wait_until(PATIENCE, "the control device to order a move", || {
                reports.moves().get(before).copied()
            })?;
            Ok(News {
                trigger: Trigger::Order,
                came: moved.heard(),
                switched: Some(moved.done()),
            })
        }))
    }

    fn operator_lines(&self) -> usize {
        self.0.operator_lines()
    }

    fn restart(self) -> Result<Self> {
        self.0.restart().map(Self)
    }

    fn kill_control_device(&mut self) -> Result<bool> {
        self.0.kill_control_device().map(|()| true)
    }
}
