//! `detach`: removes what an instance has left.

use std::io::Write;

use super::until_closed;
use crate::{control::bind_socket, instance, types::InstanceName};

/// Removes programs, maps and links of an instance that no agent runs for, and puts its ports back.
pub fn detach(instance: &InstanceName, out: &mut impl Write) -> anyhow::Result<()> {
    // Held, so that no agent starts meanwhile; refused where one runs.
    let _socket = bind_socket(instance)?;
    let said = if instance::detach(instance)? {
        format!("instance {instance} is detached")
    } else {
        format!("instance {instance} has left nothing")
    };
    Ok(until_closed(writeln!(out, "{said}"))?)
}
