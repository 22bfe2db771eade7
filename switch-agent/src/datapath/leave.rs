//! Taking a program off its port at once, which aya has no call for.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use super::bpf::bpf;

/// `BPF_OBJ_GET` and `BPF_LINK_DETACH` of `enum bpf_cmd` in linux/bpf.h.
const OBJ_GET: libc::c_long = 7;
const LINK_DETACH: libc::c_long = 34;

/// The part of `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct GetRequest {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for `BPF_LINK_DETACH`.
#[repr(C)]
struct DetachRequest {
    descriptor: u32,
}

/// Detaches the XDP link that is pinned at `path`: its program has left the port when this returns.
///
/// Who only removes the pin has that some time later. The kernel lets go of what was pinned after a
/// grace period of RCU (`bpf_free_inode` in kernel/bpf/inode.c), and of a link when nobody else has it
/// open.
///
/// # Errors
/// What bpf(2) says; EOPNOTSUPP before Linux 5.9.
pub(super) fn leave(path: &Path) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut get = GetRequest {
        path: name.as_ptr() as u64,
        descriptor: 0,
        flags: 0,
    };
    // SAFETY: the request is the command's, and the path in it lives until the call returns.
    let descriptor = unsafe { bpf(OBJ_GET, &mut get) }?;
    // SAFETY: the kernel has just opened this descriptor for us.
    let link = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let mut detach = DetachRequest {
        descriptor: link.as_raw_fd().cast_unsigned(),
    };
    // SAFETY: the request is the command's, and points to nothing.
    unsafe { bpf(LINK_DETACH, &mut detach) }.map(drop)
}
