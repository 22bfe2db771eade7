//! The lab tests itself: what the other tests rely on, with a plain wire where the switch belongs.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::Result;
use lab::{Lab, Mac, Vm};

mod cables;
mod fig1;
mod frames;
mod processes;
mod prog_run;

const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(10);
/// How long nothing must arrive to believe that nothing will.
const SILENCE: Duration = Duration::from_millis(150);

const VM_MAC: Mac = [0x52, 0x54, 0, 0, 0, 13];
const VM_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
const VM_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 13);

fn lab_with_vm() -> Result<(Lab, Vm)> {
    let lab = Lab::fig1()?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    Ok((lab, vm))
}
