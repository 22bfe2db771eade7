//! First learning: very many VMs that nobody has heard of begin to speak.

use anyhow::Result;

use super::{
    Plan,
    stage::{FROM_VLAN, Stage},
    swarm::{VMS, rows, swarm},
};
use crate::report::Section;

/// Measures it.
///
/// # Errors
/// When a switch does not start, or a VM is never believed.
pub fn measure(plan: &Plan) -> Result<Section> {
    let once = |_| {
        let mut stage = Stage::start(&[], VMS, 0)?;
        swarm(&mut stage, FROM_VLAN)
    };
    let times = (0..plan.pick(1, 5)).map(once);
    let times: Vec<_> = times.collect::<Result<_>>()?;
    Ok(Section {
        name: "first-learning",
        title: "VMs that were never heard begin to speak: from the first frame to the last binding",
        rows: rows("100 000 VMs are bound", &times)?,
    })
}
