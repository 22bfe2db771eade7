//! An evacuation: all VMs of a site begin to speak at another one at the same moment.

use anyhow::Result;

use super::{
    Plan,
    stage::{Stage, TO_VLAN},
    swarm::{VMS, rows, swarm},
};
use crate::report::Section;

/// Measures it.
///
/// # Errors
/// When a switch does not start, or a VM is never believed.
pub fn measure(plan: &Plan) -> Result<Section> {
    let mut all = Vec::new();
    for (option, learner) in [("never", "agent"), ("always", "datapath")] {
        let once = |_| {
            let mut stage = Stage::start(&["--learn-in-datapath", option], VMS, VMS)?;
            swarm(&mut stage, TO_VLAN)
        };
        let times = (0..plan.pick(1, 5)).map(once);
        let times: Vec<_> = times.collect::<Result<_>>()?;
        all.extend(rows(
            &format!("100 000 VMs move, in the {learner}"),
            &times,
        )?);
    }
    Ok(Section {
        name: "evacuation",
        title: "All VMs of a site begin to speak at another: from the first frame to the last move",
        rows: all,
    })
}
