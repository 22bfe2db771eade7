//! What a switch and a gateway have in common: the host looked at, ports made ready and put back.

use caps::{CapSet, Capability};
use switch_ebpf::abi::MODE_NATIVE;
use thiserror::Error;

use crate::{
    datapath::{DatapathError, Kernel, KernelError, Pins, kernel},
    net::link::{self, Link},
    ports::{self, Changes, Port, PortError, Restored},
    state::{State, StateError, StateFile},
    types::{InstanceName, PortName},
};

/// What an instance needs to be allowed: links and offloads, raw sockets, BPF.
const CAPABILITIES: [Capability; 3] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_RAW,
    Capability::CAP_SYS_ADMIN,
];

/// Why an instance does not start, or does not end as it should.
#[derive(Debug, Error)]
pub enum InstanceError {
    /// Not allowed.
    #[error("the switch needs the capability {0}; run it as root, for example with sudo")]
    Privileges(Capability),
    /// The kernel lacks what the programs need.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Ports that cannot be used.
    #[error("{}", .0.join("; and "))]
    Ports(Vec<String>),
    /// A port that could not be made ready or put back.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A link that could not be looked at.
    #[error(transparent)]
    Link(#[from] link::LinkError),
    /// What is pinned.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The note of what was changed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Ports made ready: what was changed, and what they are now.
pub(crate) type Ready = (Vec<Changes>, Vec<(PortName, Link)>);

/// Refuses what cannot work before anything is touched, and says what the kernel can do.
pub fn check_host() -> Result<Kernel, InstanceError> {
    for capability in CAPABILITIES {
        if !caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false) {
            return Err(InstanceError::Privileges(capability));
        }
    }
    Ok(kernel::probe()?)
}

/// Everything that stops these ports, each in a line; warnings go to `warn`.
pub fn check_ports(
    ports: &[(PortName, Port)],
    own_programs: &[u32],
    mut warn: impl FnMut(String),
) -> Vec<String> {
    let mut problems = Vec::new();
    for (_, port) in ports {
        let report = ports::check(port, own_programs);
        problems.extend(report.problems.iter().map(ToString::to_string));
        report
            .warnings
            .iter()
            .for_each(|warning| warn(warning.to_string()));
    }
    problems
}

/// Refuses ports that would take no frame from the others, which the programs could not notice. What
/// forwards already is not stopped for that.
pub(crate) fn check_redirects(
    attached: &[(PortName, Link, u16)],
    adopted: bool,
) -> Result<(), InstanceError> {
    if !attached.iter().any(|(.., mode)| *mode == MODE_NATIVE) {
        return Ok(());
    }
    let mut problems = Vec::new();
    for (_, link, _) in attached {
        problems.extend(ports::takes_redirects(link)?.map(|problem| problem.to_string()));
    }
    if adopted {
        problems
            .drain(..)
            .for_each(|problem| tracing::warn!("{problem}"));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(InstanceError::Ports(problems)),
    }
}

/// Makes ports ready. What is changed is written down first, and what a former run wrote down about
/// ports that are no longer wanted is put back.
pub(crate) fn make_ready(
    wanted: &[(PortName, Port)],
    earlier: &State,
    state: &StateFile,
) -> Result<Ready, InstanceError> {
    let mut plans = Vec::new();
    for (name, port) in wanted {
        let link = link::by_name(&port.name)?;
        let mut changes = ports::plan(&link)?;
        earlier
            .ports
            .iter()
            .for_each(|former| changes.adopt(former));
        plans.push((name, changes));
    }
    let changes: Vec<_> = plans.iter().map(|(_, changes)| changes.clone()).collect();
    let is_wanted = |former: &Changes| changes.iter().any(|now| now.ifindex == former.ifindex);
    let dropped: Vec<_> = earlier
        .ports
        .iter()
        .filter(|former| !is_wanted(former))
        .collect();
    let noted = changes
        .iter()
        .chain(dropped.iter().copied())
        .cloned()
        .collect();
    state.write(&State::here(noted)?)?;
    let mut links = Vec::new();
    for (name, changes) in plans {
        links.push((name.clone(), ports::apply(&changes)?));
    }
    if let Err(error) = put_back(dropped) {
        tracing::warn!(%error, "cannot put back a port that is no longer used");
    }
    state.write(&State::here(changes.clone())?)?;
    Ok((changes, links))
}

/// Puts ports back. What nobody may change now is told, with what to do: it is no failure, for trying
/// again would not help.
fn put_back<'a>(changes: impl IntoIterator<Item = &'a Changes>) -> Result<(), InstanceError> {
    let mut first = Ok(());
    for change in changes {
        match ports::restore(change) {
            Ok(Restored::Except(kept)) => tracing::warn!("{kept}"),
            Ok(Restored::Done | Restored::Gone) => {}
            Err(error) => first = first.and(Err(error.into())),
        }
    }
    first
}

/// Removes an instance: programs, maps and links, its changes to ports, and its note of them. Where a
/// port cannot be put back the note stays, for `switch-agent detach`.
pub(crate) fn clear(
    pins: &Pins,
    changes: &[Changes],
    state: &StateFile,
) -> Result<(), InstanceError> {
    pins.remove()?;
    put_back(changes)?;
    Ok(state.remove()?)
}

/// Undoes a start that failed. The failure itself is what the operator is told.
pub(crate) fn undo(pins: &Pins, state: &StateFile, instance: &InstanceName) {
    if let Err(error) = remove(pins, state, instance) {
        tracing::warn!(%error, "cannot undo the start; `switch-agent detach` tries again");
    }
}

fn remove(pins: &Pins, state: &StateFile, instance: &InstanceName) -> Result<bool, InstanceError> {
    let noted = state.read(instance)?;
    let found = noted.is_some() || pins.exist();
    clear(pins, &noted.unwrap_or_default().ports, state)?;
    Ok(found)
}

/// Removes what an instance has left: programs, maps and links, and its changes to ports. Whether
/// there was anything.
pub fn detach(instance: &InstanceName) -> Result<bool, InstanceError> {
    remove(&Pins::of(instance), &StateFile::of(instance), instance)
}
