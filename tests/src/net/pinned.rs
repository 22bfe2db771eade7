//! Writing to pinned maps, as no sound program would.

use std::{
    ffi::CString,
    os::{
        fd::{AsFd, AsRawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use anyhow::{Context, Result};

use super::bpf;

/// The part of `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct GetRequest {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
struct UpdateRequest {
    descriptor: u64,
    key: u64,
    value: u64,
    flags: u64,
}

/// Writes an element of the map that is pinned at `path`.
///
/// # Errors
/// When there is no such map, or it takes no such element.
///
/// # Safety
/// Key and value must be of the map's sizes: the kernel reads that much.
pub unsafe fn write(path: &Path, key: &[u8], value: &[u8]) -> Result<()> {
    const OBJ_GET: libc::c_int = 7;
    const MAP_UPDATE_ELEM: libc::c_int = 2;
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut get = GetRequest {
        path: name.as_ptr() as u64,
        descriptor: 0,
        flags: 0,
    };
    // SAFETY: the request is the command's, and the path in it lives until the call returns.
    let map = unsafe { bpf::open(OBJ_GET, &mut get) }
        .with_context(|| format!("open the map at {}", path.display()))?;
    let mut update = UpdateRequest {
        descriptor: u64::try_from(map.as_fd().as_raw_fd())?,
        key: key.as_ptr() as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the request is the command's; key and value live until the call returns, and their
    // sizes are the caller's promise.
    unsafe { bpf::call_kernel(MAP_UPDATE_ELEM, &mut update) }
        .with_context(|| format!("write to the map at {}", path.display()))?;
    Ok(())
}
