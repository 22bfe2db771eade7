//! Which network namespace the calling thread is in.

use std::{fmt, io, os::unix::fs::MetadataExt as _};

/// The identity of a network namespace: the same as long as the namespace lives, and never shared
/// by two that live at the same time (`ns_get_path` in the kernel's `fs/nsfs.c` gives each its own
/// inode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetnsId {
    /// Device number of nsfs.
    pub dev: u64,
    /// Inode number of the namespace, as `readlink /proc/self/ns/net` shows it.
    pub inode: u64,
}

impl fmt::Display for NetnsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.inode)
    }
}

/// The network namespace of the calling thread.
///
/// Reads `/proc/thread-self/ns/net`, not `/proc/self`: the latter is the main thread's, and threads
/// may be in different namespaces.
///
/// # Errors
/// That `/proc` is not mounted, or is another PID namespace's; the text says so.
pub fn current() -> io::Result<NetnsId> {
    const PATH: &str = "/proc/thread-self/ns/net";
    let meta = std::fs::metadata(PATH).map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("cannot tell the network namespace from {PATH}: {e}; is /proc mounted?"),
        )
    })?;
    Ok(NetnsId {
        dev: meta.dev(),
        inode: meta.ino(),
    })
}

#[cfg(test)]
mod tests {
    use super::current;
    use crate::net::testing::in_new_netns;

    #[test]
    fn threads_in_different_namespaces_differ() {
        let here = current().expect("current");
        let there = in_new_netns(|| current().expect("current in the new namespace"));
        assert_ne!(here, there);
        assert_eq!(here, current().expect("current again"));
        assert_eq!(here.to_string(), format!("net:[{}]", here.inode));
    }
}
