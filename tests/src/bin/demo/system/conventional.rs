//! The conventional system (Fig. 7): a helper on each data centre's LAN, and a control device that
//! orders the switch, which learns nothing by itself.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::{Context, Result};
use lab::{Agent, Lab, Namespace, Vm, interrupt::wait_until, veth};
use tempfile::TempDir;

use super::{Running, SWITCH, System};
use crate::{
    control_device::{ControlDevice, NetworkData},
    news::{Ear, News, PATIENCE, Trigger},
    traffic::Guest,
};

/// The network that helpers and control device have for themselves.
const MANAGEMENT: &str = "mgmt";
const PREFIX: u8 = 24;
const PORT: u16 = 8050;

/// The switch, the control device, and what helps it.
pub struct Conventional {
    control_device: ControlDevice,
    helpers: Vec<Running>,
    switch: Running,
    operator_lines: usize,
    /// The control device's place.
    _office: Namespace,
    /// Network data, and what helpers keep.
    _files: TempDir,
}

/// A device's address in the management network, by the patent's number of it.
const fn management(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

const CONTROL_DEVICE: Ipv4Addr = management(50);

impl System for Conventional {
    const NAME: &'static str = "conventional";
    const TITLE: &'static str = "Conventional system";
    const FIGURES: &'static str = "Fig. 7";
    const GUEST: Guest = Guest::Idle;
    // A helper says nothing twice within 1 s, and hears of every second move.
    const STAY: Duration = Duration::from_millis(600);

    fn start(lab: &Lab, vm: &Vm) -> Result<Self> {
        let switch = Running::start(&lab.switch, SWITCH)?;
        let files = tempfile::tempdir().context("make a directory for the network data")?;

        let office = Namespace::new("control")?;
        office.add_bridge(MANAGEMENT)?;
        office.set_up(MANAGEMENT)?;
        office.add_address(MANAGEMENT, CONTROL_DEVICE.into(), PREFIX)?;
        let site = |dc| format!("dc{}", dc + 1);
        let data = NetworkData {
            helpers: (0..lab.dc.len())
                .map(|dc| (helper_number(dc).into(), site(dc)))
                .collect(),
            vms: [(vm.ipv4, site(vm.dc()))].into(),
        };
        let path = files.path().join("network-data.json");
        fs::write(&path, serde_json::to_vec_pretty(&data)?)
            .with_context(|| format!("write {}", path.display()))?;
        let listen = (CONTROL_DEVICE, PORT).into();
        let control_device = ControlDevice::start(&office, listen, &path, &switch.agent)?;

        let mut helpers = Vec::new();
        for (index, dc) in lab.dc.iter().enumerate() {
            let number = helper_number(index);
            dc.plug(&dc.ns, "lan", "lan-br")?;
            let port = format!("dc{}", index + 1);
            veth((&dc.ns, MANAGEMENT), (&office, port.as_str()))?;
            office.set_bridge(&port, Some(MANAGEMENT))?;
            dc.ns
                .add_address(MANAGEMENT, IpAddr::from(management(number)), PREFIX)?;
            let trunk = format!("up:{}", dc.tag.vid);
            let url = format!("http://{CONTROL_DEVICE}:{PORT}/");
            let id = number.to_string();
            let state = files.path().join(&port);
            let arguments = [
                "gateway",
                "--mode",
                "snoop",
                "--lan",
                "lan",
                "--trunk",
                &trunk,
                "--notify",
                &url,
                "--gateway-id",
                &id,
                "--state-dir",
                state.to_str().context("a path that is not UTF-8")?,
            ];
            helpers.push(Running::start(&dc.ns, arguments)?);
        }
        Ok(Self {
            control_device,
            helpers,
            switch,
            operator_lines: data.lines(),
            _office: office,
            _files: files,
        })
    }

    fn switch(&self) -> &Agent {
        &self.switch.agent
    }

    fn listen(&self, _lab: &Lab, _vm: &Vm, _to: usize) -> Result<Ear> {
        let reports = self.control_device.reports().clone();
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
        self.operator_lines
    }

    fn restart(self) -> Result<Self> {
        let helpers = self.helpers.into_iter().map(Running::kill_and_restart);
        Ok(Self {
            switch: self.switch.kill_and_restart()?,
            helpers: helpers.collect::<Result<_>>()?,
            ..self
        })
    }

    fn kill_control_device(&mut self) -> Result<bool> {
        self.control_device.kill()?;
        Ok(true)
    }
}

/// A helper's number: 14 in data centre 1, as the patent has 24 in data centre 2.
fn helper_number(dc: usize) -> u8 {
    // The lab has a handful of data centres.
    (dc as u8 + 1) * 10 + 4
}
