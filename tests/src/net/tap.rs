//! Taps: the host's end of a virtual machine's cable.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
};

use anyhow::{Context, Result, ensure};

use crate::Namespace;

impl Namespace {
    /// Makes a tap and sets it up. It is gone when the descriptor, which is what a hypervisor needs, is
    /// closed everywhere. With `headers` a hypervisor puts a virtio-net header before each frame, as
    /// QEMU and libvirt do unless told otherwise: in it a guest can leave checksums to the host.
    ///
    /// # Errors
    /// When the name is taken or too long, or the kernel has no taps.
    pub fn open_tap(&self, name: &str, headers: bool) -> Result<OwnedFd> {
        let tap = self
            .run(|| create(name, headers))
            .with_context(|| format!("make the tap {name} in {}", self.name()))?;
        self.set_up(name)?;
        Ok(tap.into())
    }
}

fn create(name: &str, headers: bool) -> Result<File> {
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        // Or the monitor would wait for the next frame with the guest.
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .context("open /dev/net/tun")?;
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
    if headers {
        flags |= libc::IFF_VNET_HDR;
    }
    let mut ifr_name = [0; libc::IFNAMSIZ];
    ensure!(name.len() < ifr_name.len(), "the name is too long");
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let request = libc::ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: flags as libc::c_short,
        },
    };
    // SAFETY: the request is an ifreq, which the kernel reads and writes, and outlives the call.
    if unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw const request) } < 0 {
        return Err(io::Error::last_os_error()).context("TUNSETIFF");
    }
    Ok(tun)
}
