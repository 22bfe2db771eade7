//! The conventional system (Fig. 7): a helper on each data centre's LAN, and a control device that
//! orders the switch, which learns nothing by itself.

pub mod control_device;

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Agent, Dc, Lab, Namespace, agent::Running, veth};
use control_device::{ControlDevice, NetworkData, Reports};

/// The network that helpers and control device have for themselves.
const MANAGEMENT: &str = "mgmt";
const PREFIX: u8 = 24;
const PORT: u16 = 8050;

/// The switch, the control device, and what helps it.
#[derive(Debug)]
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

impl Conventional {
    /// Starts everything in the lab, with VMs that are in data centres of these indices. `arguments`
    /// are the switch's, which calls its sites `dc1` and so on.
    ///
    /// # Errors
    /// When a part does not start.
    pub fn start<'a>(
        lab: &Lab,
        arguments: impl IntoIterator<Item = &'a str>,
        vms: &BTreeMap<Ipv4Addr, usize>,
    ) -> Result<Self> {
        let switch = Running::start(&lab.switch, arguments)?;
        let files = tempfile::tempdir().context("make a directory for the network data")?;

        let office = Namespace::new("control")?;
        office.add_bridge(MANAGEMENT)?;
        office.set_up(MANAGEMENT)?;
        office.add_address(MANAGEMENT, CONTROL_DEVICE.into(), PREFIX)?;
        let data = NetworkData {
            helpers: (0..lab.dc.len())
                .map(|dc| (helper_number(dc).into(), site(dc)))
                .collect(),
            vms: vms.iter().map(|(vm, dc)| (*vm, site(*dc))).collect(),
        };
        let path = files.path().join("network-data.json");
        fs::write(&path, serde_json::to_vec_pretty(&data)?)
            .with_context(|| format!("write {}", path.display()))?;
        let listen = (CONTROL_DEVICE, PORT).into();
        let control_device = ControlDevice::start(&office, listen, &path, &switch.agent)?;

        let helpers = lab.dc.iter().enumerate();
        let helpers = helpers.map(|(index, dc)| helper(index, dc, &office, files.path()));
        Ok(Self {
            control_device,
            helpers: helpers.collect::<Result<_>>()?,
            switch,
            operator_lines: data.lines(),
            _office: office,
            _files: files,
        })
    }

    /// The switch that stands between the PC and the data centres.
    #[must_use]
    pub fn switch(&self) -> &Agent {
        &self.switch.agent
    }

    /// What the control device says.
    #[must_use]
    pub fn reports(&self) -> &Reports {
        self.control_device.reports()
    }

    /// How many lines about sites and VMs an operator keeps up to date.
    #[must_use]
    pub fn operator_lines(&self) -> usize {
        self.operator_lines
    }

    /// Kills switch and helpers, with no chance to clean up, and starts them again.
    ///
    /// # Errors
    /// When one does not start.
    pub fn restart(self) -> Result<Self> {
        let helpers = self.helpers.into_iter().map(Running::kill_and_restart);
        Ok(Self {
            switch: self.switch.kill_and_restart()?,
            helpers: helpers.collect::<Result<_>>()?,
            ..self
        })
    }

    /// Kills the control device for good.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill_control_device(&mut self) -> Result<()> {
        self.control_device.kill()
    }
}

/// Starts the helper of a data centre, and joins it to the control device's network.
fn helper(index: usize, dc: &Dc, office: &Namespace, files: &Path) -> Result<Running> {
    let number = helper_number(index);
    dc.plug(&dc.ns, "lan", "lan-br")?;
    let port = site(index);
    veth((&dc.ns, MANAGEMENT), (office, port.as_str()))?;
    office.set_bridge(&port, Some(MANAGEMENT))?;
    dc.ns
        .add_address(MANAGEMENT, IpAddr::from(management(number)), PREFIX)?;
    let trunk = format!("up:{}", dc.tag.vid);
    let url = format!("http://{CONTROL_DEVICE}:{PORT}/");
    let id = number.to_string();
    let state = files.join(&port);
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
    Running::start(&dc.ns, arguments)
}

fn site(dc: usize) -> String {
    format!("dc{}", dc + 1)
}

/// A helper's number: 14 in data centre 1, as the patent has 24 in data centre 2.
fn helper_number(dc: usize) -> u8 {
    // The lab has a handful of data centres.
    (dc as u8 + 1) * 10 + 4
}
