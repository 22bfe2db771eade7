//! bpf(2), for the few commands that aya has no call for.

use std::io;

/// Calls it.
///
/// # Errors
/// What the kernel says.
///
/// # Safety
/// `request` must be the part of `union bpf_attr` that `command` reads and writes, without padding, and
/// what it points to must live until the call returns.
pub(super) unsafe fn bpf<T>(command: libc::c_long, request: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(request),
            size_of::<T>(),
        )
    };
    match libc::c_int::try_from(done) {
        Ok(done) if done >= 0 => Ok(done),
        _ => Err(io::Error::last_os_error()),
    }
}
