//! Pinned objects: a look at a link, holding one, and writing to a map, as no sound program would.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use anyhow::{Context, Result, ensure};

use super::bpf;

/// The part of `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct GetRequest {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoRequest {
    descriptor: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_map_info`.
#[derive(Default)]
#[repr(C)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
}

/// What holds a program at a port: the beginning of `struct bpf_link_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LinkInfo {
    kind: u32,
    /// The kernel's number of the link.
    pub id: u32,
    /// The kernel's number of the program that it holds now.
    pub program: u32,
}

/// Looks at the XDP link that is pinned at `path`.
///
/// # Errors
/// When there is none.
pub fn link(path: &Path) -> Result<LinkInfo> {
    const XDP: u32 = 6;
    let look = || {
        let info: LinkInfo = info(&open(path).context("open it")?).context("ask for its ids")?;
        ensure!(info.kind == XDP, "it is of kind {}", info.kind);
        Ok(info)
    };
    look().with_context(|| format!("look at the XDP link at {}", path.display()))
}

/// Holds what is pinned at `path`, as any process may: it stays when the pin goes.
///
/// # Errors
/// When nothing is pinned there.
pub fn hold(path: &Path) -> Result<OwnedFd> {
    open(path).with_context(|| format!("open {}", path.display()))
}

/// The part of `union bpf_attr` for `BPF_MAP_LOOKUP_ELEM` and `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
struct ElementRequest {
    descriptor: u64,
    key: u64,
    value: u64,
    flags: u64,
}

/// Overwrites the first bytes of element 0 of the array that is pinned at `path`.
///
/// # Errors
/// When there is no such array, or its values are shorter.
pub fn overwrite(path: &Path, bytes: &[u8]) -> Result<()> {
    change(path, bytes).with_context(|| format!("change the map at {}", path.display()))
}

fn change(path: &Path, bytes: &[u8]) -> Result<()> {
    const ARRAY: u32 = 2;
    const LOOKUP_ELEM: libc::c_int = 1;
    const UPDATE_ELEM: libc::c_int = 2;
    let map = open(path).context("open it")?;
    let info: MapInfo = info(&map).context("ask for its sizes")?;
    ensure!((info.kind, info.key_size) == (ARRAY, 4), "it is no array");
    let mut value = vec![0; info.value_size as usize];
    let first = 0_u32;
    let mut request = ElementRequest {
        descriptor: u64::try_from(map.as_fd().as_raw_fd())?,
        key: (&raw const first) as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the request is the command's; key and value live on, and are of the map's sizes.
    unsafe { bpf::call_kernel(LOOKUP_ELEM, &mut request) }.context("read it")?;
    let start = value
        .get_mut(..bytes.len())
        .context("its values are shorter")?;
    start.copy_from_slice(bytes);
    // SAFETY: as above.
    unsafe { bpf::call_kernel(UPDATE_ELEM, &mut request) }.context("write it")?;
    Ok(())
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    const OBJ_GET: libc::c_int = 7;
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut request = GetRequest {
        path: name.as_ptr() as u64,
        descriptor: 0,
        flags: 0,
    };
    // SAFETY: the request is the command's, and the path in it lives until the call returns.
    unsafe { bpf::open(OBJ_GET, &mut request) }
}

/// `T` is the beginning of the struct that the kernel has for this kind of object.
fn info<T: Default>(object: &OwnedFd) -> io::Result<T> {
    const GET_INFO: libc::c_int = 15;
    let mut info = T::default();
    let mut request = InfoRequest {
        // The kernel's descriptors are positive.
        descriptor: object.as_raw_fd().cast_unsigned(),
        length: size_of::<T>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the request is the command's; the kernel writes as much as the length says.
    unsafe { bpf::call_kernel(GET_INFO, &mut request) }?;
    Ok(info)
}
