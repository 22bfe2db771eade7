//! The limit: a program that sends everything to the other port and does nothing else.

use anyhow::Result;
use aya::{
    Ebpf,
    maps::{DevMap, MapData},
};
use lab::Namespace;

use crate::rig::{PORTS, object};

/// The program at both ports, for as long as this lives.
pub struct Redirect {
    _object: Ebpf,
    _ports: DevMap<MapData>,
}

impl Redirect {
    /// Attaches it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let mut object = object::open()?;
        let mut ports: DevMap<MapData> = object::map(&mut object, "PORTS")?;
        for (index, (port, program)) in (0..).zip(PORTS.iter().zip(["to_sites", "to_client"])) {
            ports_set(namespace, &mut ports, index, port)?;
            object::attach(&mut object, program, namespace, port)?;
        }
        Ok(Self {
            _object: object,
            _ports: ports,
        })
    }
}

fn ports_set(at: &Namespace, ports: &mut DevMap<MapData>, index: u32, port: &str) -> Result<()> {
    let ifindex = at.link(port)?.index;
    // A device is looked up in the namespace of the thread.
    Ok(at.run(|| ports.set(index, ifindex, None, 0))?)
}
