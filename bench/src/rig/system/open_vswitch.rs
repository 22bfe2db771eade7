//! Open vSwitch, with its datapath in user space: the kernel's need not be there.

use std::{ffi::OsString, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{Namespace, interrupt::wait_until};
use tempfile::TempDir;

use crate::rig::{
    PORTS, VLAN,
    process::{self, Process},
};

const PATIENCE: Duration = Duration::from_secs(10);
/// It is to know all VMs' MACs, as the kernel's bridge does.
const MACS: u32 = 100_000;

/// A learning switch of Open vSwitch: the client's port is in the sites' VLAN.
pub struct OpenVswitch {
    _switch: Process,
    _database: Process,
    _directory: TempDir,
}

impl OpenVswitch {
    /// Starts it, with a database of its own.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        for program in ["ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl"] {
            ensure!(process::is_installed(program), "{program} is not installed");
        }
        let directory = TempDir::new().context("make a directory for Open vSwitch")?;
        let file = |name: &str| directory.path().join(name);
        let (database, socket) = (file("conf.db"), file("db.sock"));
        let program = |name: &str| {
            let mut command = namespace.command(name);
            command.env("OVS_RUNDIR", directory.path());
            command
        };

        let mut create = program("ovsdb-tool");
        create.arg("create").arg(&database);
        process::run(create)?;
        let mut serve = program("ovsdb-server");
        serve.arg(&database).arg(with("--remote=punix:", &socket));
        let serving = Process::start(serve)?;
        wait_until(PATIENCE, "ovsdb-server to listen", || {
            socket.exists().then_some(())
        })?;

        let at = with("unix:", &socket);
        let configure = |arguments: &[&str]| {
            let mut command = program("ovs-vsctl");
            command.arg(with("--db=", at.as_ref()));
            command.arg(format!("--timeout={}", PATIENCE.as_secs()));
            command.args(arguments);
            process::run(command)
        };
        configure(&["--no-wait", "init"])?;
        let mut switch = program("ovs-vswitchd");
        switch.arg(&at).arg("--disable-system");
        let switch = Process::start(switch)?;
        // Waits until that has done it.
        configure(&words(&format!(
            "add-br br0 -- set bridge br0 datapath_type=netdev other_config:mac-table-size={MACS} \
             -- add-port br0 {} tag={VLAN} -- add-port br0 {} trunks={VLAN}",
            PORTS[0], PORTS[1]
        )))?;
        Ok(Self {
            _switch: switch,
            _database: serving,
            _directory: directory,
        })
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// An option and the path that is its value.
fn with(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push(path);
    text
}
