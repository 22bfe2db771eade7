//! What a switch changes and leaves.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use lab::{
    Lab, Namespace,
    net::{ethtool, link::XdpMode},
};

/// What a switch may change about a port.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub up: bool,
    pub promiscuity: u32,
    pub mtu: u32,
    pub xdp: Option<XdpMode>,
    pub master: Option<u32>,
    pub features: BTreeMap<String, bool>,
}

/// A port as it is.
pub fn port(namespace: &Namespace, name: &str) -> Result<Port> {
    let link = namespace.link(name)?;
    Ok(Port {
        up: link.up,
        promiscuity: link.promiscuity,
        mtu: link.mtu,
        xdp: link.xdp,
        master: link.master,
        features: ethtool::features(namespace, name)?,
    })
}

/// The client's port and the trunk as they are.
pub fn both(lab: &Lab) -> Result<[Port; 2]> {
    Ok([port(&lab.switch, "c0")?, port(&lab.switch, "t0")?])
}

/// What an instance has left in the file system.
pub fn left_by(instance: &str) -> Vec<String> {
    let pins = format!("/sys/fs/bpf/switch-agent/{instance}");
    let socket = format!("/run/switch-agent/{instance}.sock");
    let note = format!("/run/switch-agent/{instance}.ports");
    let mut left = vec![pins, socket, note];
    left.retain(|path| Path::new(path).exists());
    left
}
