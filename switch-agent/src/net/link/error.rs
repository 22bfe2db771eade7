//! What can go wrong with links.

use std::io;

use super::MAX_NAME;

/// Why a link could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no such link in this namespace.
    #[error(
        "there is no interface {name:?} in this network namespace; `ip link` lists those there are"
    )]
    NotFound {
        /// The name, or `#` and the index, that was asked for.
        name: String,
    },
    /// A name no interface can have.
    #[error(
        "{name:?} cannot be an interface's name: it must have 1 to {MAX_NAME} bytes and no zero byte; check the spelling"
    )]
    BadName {
        /// The name that was asked for.
        name: String,
    },
    /// Netlink itself, or the kernel's answer.
    #[error("cannot {what} through netlink: {source}{}", remedy(source))]
    Netlink {
        /// What was tried on which link.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn remedy(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::PermissionDenied => "; run as root or with CAP_NET_ADMIN",
        _ => "",
    }
}

impl LinkError {
    /// The link is not there (any more), as opposed to: something failed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::BadName { .. } => false,
            Self::Netlink { source, .. } => source.raw_os_error() == Some(libc::ENODEV),
        }
    }
}
