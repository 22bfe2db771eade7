//! What can go wrong with sending.

use std::{io, time::Duration};

/// Why frames could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The port is set down (ENETDOWN).
    #[error("cannot send to port {port}: it is down; set it up with `ip link set {port} up`")]
    Down {
        /// The port.
        port: String,
    },
    /// The port was deleted or moved to another network namespace (ENXIO, ENODEV).
    #[error(
        "cannot send to port {port}: it is gone from this network namespace; restart the switch once it is back"
    )]
    Gone {
        /// The port.
        port: String,
    },
    /// The device took nothing for all of the patience.
    #[error("cannot send to port {port}: it took nothing for {} ms; it has no carrier or its receiving end is stuck, `ip -s link show {port}` tells", waited.as_millis())]
    Full {
        /// The port.
        port: String,
        /// How long nothing went.
        waited: Duration,
    },
    /// The kernel refused this one frame: shorter than an Ethernet header (EINVAL).
    #[error("port {port} refused a frame of {length} bytes as malformed; it was not sent")]
    Malformed {
        /// The port.
        port: String,
        /// The frame's length in bytes.
        length: usize,
    },
    /// Anything else.
    #[error(
        "cannot {what} port {port} (packet socket): {source}{}",
        remedy(source)
    )]
    Socket {
        /// The port.
        port: String,
        /// What was tried, before the words "port NAME".
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

fn remedy(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::PermissionDenied => "; run as root or with CAP_NET_RAW",
        _ => "",
    }
}
