//! What can go wrong with ethtool.

use std::io;

/// Why a device's driver or features could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum EthtoolError {
    /// The ioctl failed.
    #[error(
        "cannot {what} of port {device} (ioctl SIOCETHTOOL): {source}{}",
        remedy(source)
    )]
    Ioctl {
        /// The device.
        device: String,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// This kernel knows no feature of that name.
    #[error("port {device} has no feature {feature:?}; `ethtool -k {device}` lists those it has")]
    Unknown {
        /// The device.
        device: String,
        /// The name that was asked for.
        feature: String,
    },
    /// The device does not let the feature be changed.
    #[error("port {device} has {feature} fixed {}, but it must be {}: its driver refuses `ethtool -K {device} {feature} {}`; use another port or driver", onoff(!on), onoff(*on), onoff(*on))]
    Fixed {
        /// The device.
        device: String,
        /// The feature.
        feature: String,
        /// The state that is wanted and cannot be had.
        on: bool,
    },
    /// The kernel took the request and did not follow it.
    #[error("port {device} still has {feature} {} after it was asked to turn it {}: another feature or its driver needs it so; see what `ethtool -K {device} {feature} {}` says", onoff(!on), onoff(*on), onoff(*on))]
    NotChanged {
        /// The device.
        device: String,
        /// The feature.
        feature: String,
        /// The state that is wanted and did not come about.
        on: bool,
    },
}

/// As `ethtool -K` wants it.
pub(crate) fn onoff(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn remedy(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::EPERM) => "; run as root or with CAP_NET_ADMIN",
        Some(libc::ENODEV) => "; `ip link` lists the interfaces there are",
        _ => "",
    }
}
