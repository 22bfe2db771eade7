//! A program at a port: attached, or put in the place of a former run's.

use std::path::Path;

use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, LinkError, PinnedLink},
    xdp::{XdpLink, XdpLinkId},
};
use switch_ebpf::abi::{MODE_GENERIC, MODE_NATIVE};

use super::{DatapathError, load::reason};
use crate::{
    config,
    net::link::{self, Link},
    types::PortName,
};

/// How a port was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// [`MODE_NATIVE`] or [`MODE_GENERIC`].
    pub mode: u16,
    /// Whether a link of a former run was taken over, with no frame in between.
    pub adopted: bool,
}

/// Takes over the pinned link of a former run, if it still is the one at the port: the kernel
/// replaces the program between two frames.
pub(super) fn adopt(
    program: &mut Xdp,
    failed: impl Fn(ProgramError) -> DatapathError,
    pin: &Path,
    port: &PortName,
    link: &Link,
) -> Result<Option<Attached>, DatapathError> {
    let error = |verb, source| DatapathError::Link {
        verb,
        port: port.as_str().to_owned(),
        source,
    };
    let Ok(pinned) = PinnedLink::from_pin(pin) else {
        return Ok(None);
    };
    let owned = FdLink::from(pinned);
    let at_port = link.xdp.as_ref();
    let id = owned
        .info()
        .map_err(|source| error("read", source))?
        .program_id();
    let Some(at_port) = at_port.filter(|attached| attached.prog_id == id) else {
        // The port it was attached to is gone, and the link with it.
        std::fs::remove_file(pin).map_err(|source| DatapathError::Pins {
            verb: "remove",
            path: pin.to_owned(),
            source,
        })?;
        return Ok(None);
    };
    let mode = match at_port.mode {
        link::XdpMode::Generic => MODE_GENERIC,
        _ => MODE_NATIVE,
    };
    let owned = XdpLink::try_from(owned).map_err(|source: LinkError| error("own", source))?;
    let id = program.attach_to_link(owned).map_err(&failed)?;
    // The pin keeps the link; forgetting ours must not detach it.
    let owned = program.take_link(id).map_err(&failed)?;
    drop(FdLink::try_from(owned).map_err(|source| error("own", source))?);
    Ok(Some(Attached {
        mode,
        adopted: true,
    }))
}

/// Attaches a program to a port.
pub(super) fn attach(
    program: &mut Xdp,
    port: &PortName,
    link: &Link,
    mode: config::XdpMode,
) -> Result<(XdpLinkId, u16), DatapathError> {
    let failed = |mode, source: ProgramError, hint| DatapathError::Attach {
        port: port.as_str().to_owned(),
        mode,
        reason: reason(&source),
        hint,
    };
    match mode {
        config::XdpMode::Native => program
            .attach_to_if_index(link.index, XdpMode::Driver)
            .map(|id| (id, MODE_NATIVE))
            .map_err(|source| failed("native", source, NATIVE_HINT)),
        config::XdpMode::Generic => program
            .attach_to_if_index(link.index, XdpMode::Skb)
            .map(|id| (id, MODE_GENERIC))
            .map_err(|source| failed("generic", source, "")),
        config::XdpMode::Auto => match program.attach_to_if_index(link.index, XdpMode::Driver) {
            Ok(id) => Ok((id, MODE_NATIVE)),
            Err(source) => {
                tracing::warn!(
                    port = port.as_str(),
                    reason = reason(&source),
                    "the driver cannot run XDP programs: the port uses generic mode, which is slower"
                );
                program
                    .attach_to_if_index(link.index, XdpMode::Skb)
                    .map(|id| (id, MODE_GENERIC))
                    .map_err(|source| failed("generic", source, ""))
            }
        },
    }
}

const NATIVE_HINT: &str = "; if the driver cannot run XDP programs, or not at this MTU, try \
    `--xdp-mode generic`, which is slower";
