//! A move in the conventional system (Fig. 7): the VM announces itself at its new site, a helper tells
//! the control device, and that orders the switch.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use lab::{Lab, Namespace, RawSender, fig1::RUN, frame::Arp};
use switch_agent::{
    datapath::{Pins, Tables},
    types::InstanceName,
};
use switch_ebpf::abi::{Binding, BindingKey};

use super::{PATIENCE, spin_until};
use crate::rig::{now_ns, vm};

/// A hypervisor's port at a data centre's LAN.
const PORT: &str = "hypervisor";

/// The system in its lab, and a hypervisor at the data centre that VMs move to.
pub struct Conventional {
    // In this order: the first cleans up, and the lab must still be there then.
    system: lab::Conventional,
    tables: Tables,
    hypervisor: RawSender,
    _hypervisors: Namespace,
    _lab: Lab,
}

/// How a VM is called in the network data. Its MAC is that of its number.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 0).to_bits() + number)
}

impl Conventional {
    /// Starts it with so many VMs at the first data centre, all of which an operator has written down.
    ///
    /// # Errors
    /// When something of it does not start.
    pub fn start(vms: u32) -> Result<Self> {
        let lab = Lab::fig1()?;
        let hypervisors = Namespace::new("hypervisor")?;
        lab.dc[1].plug(&hypervisors, PORT, "to-hypervisor")?;
        let vms = (0..vms).map(|number| (address(number), 0)).collect();
        let system = lab::Conventional::start(&lab, RUN, &vms)?;
        let instance: InstanceName = system.switch().instance().parse()?;
        Ok(Self {
            tables: Tables::open(&Pins::of(&instance))?,
            hypervisor: RawSender::open(&hypervisors, PORT)?,
            system,
            _hypervisors: hypervisors,
            _lab: lab,
        })
    }

    /// Moves one VM, and says how many nanoseconds passed from its announcement until both flow rules
    /// were those of its new site.
    ///
    /// # Errors
    /// When the switch is not told.
    pub fn one(&mut self, number: u32) -> Result<f64> {
        let address = address(number);
        let before = self.binding(address)?;
        let announcement = Arp::announcement(vm::mac(number), address).frame();
        let announced_ns = now_ns()?;
        self.hypervisor.send(&announcement)?;
        let what = || {
            let said = self.system.switch().stderr();
            format!("{address} to be moved; the switch said:\n{said}")
        };
        spin_until(PATIENCE, what, || {
            let now = self.binding(address)?;
            Ok((now.site != before.site).then_some(()))
        })?;
        Ok((now_ns()? - announced_ns) as f64)
    }

    fn binding(&self, address: Ipv4Addr) -> Result<Binding> {
        let key = BindingKey {
            // Ids are given in the order of the configuration.
            network: 0,
            address: IpAddr::from(address).into(),
        };
        let binding = self.tables.binding(&key)?;
        binding.with_context(|| format!("{address} is not bound"))
    }
}
