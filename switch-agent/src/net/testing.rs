//! Throw-away namespaces for the tests of this crate. They need root.

use std::{
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    process::{Child, Command, Stdio},
};

/// Runs `test` in a thread of its own in a new network namespace, which goes with the thread.
pub(crate) fn in_new_netns<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("a new network namespace; these tests need root");
            test()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs `ip` with these arguments in the calling thread's namespace.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split_whitespace())
        .status()
        .expect("the tool ip");
    assert!(status.success(), "ip {arguments}: {status}");
}

/// A process in a network namespace of its own, to move links to.
pub(crate) struct Elsewhere(Child);

impl Elsewhere {
    /// Starts it; it is in its namespace when this returns.
    pub(crate) fn new() -> Self {
        // The shell says that it runs before it waits for its standard input to be closed.
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; read wait"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tool unshare");
        let mut line = [0; 1];
        if let Some(out) = &mut child.stdout {
            std::io::Read::read_exact(out, &mut line).expect("the shell's sign of life");
        }
        Self(child)
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Attaches an XDP program that passes everything to a link; it goes with what this returns.
/// By hand, as loading the switch's own would need its build.
pub(crate) fn attach_pass(ifindex: u32) -> OwnedFd {
    const BPF_PROG_LOAD: i64 = 5;
    const BPF_LINK_CREATE: i64 = 28;
    const BPF_PROG_TYPE_XDP: u64 = 6;
    const BPF_XDP: u64 = 37;

    fn bpf(command: i64, attributes: &[u64]) -> OwnedFd {
        // SAFETY: the attributes live across the call and the kernel reads no more than their size.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                command,
                attributes.as_ptr(),
                size_of_val(attributes),
            )
        };
        assert!(
            fd >= 0,
            "bpf({command}): {}",
            std::io::Error::last_os_error()
        );
        // SAFETY: the kernel just opened this descriptor for us.
        unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) }
    }
    /// Two 32-bit fields one behind the other.
    fn pair(first: u64, second: u64) -> u64 {
        if cfg!(target_endian = "little") {
            first | second << 32
        } else {
            first << 32 | second
        }
    }

    // r0 = XDP_PASS; exit
    let code: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    // prog_type, insn_cnt; insns; license; then zeroes; prog_ifindex, expected_attach_type
    let mut load = [0; 9];
    load[0] = pair(BPF_PROG_TYPE_XDP, 2);
    load[1] = code.as_ptr() as u64;
    load[2] = c"GPL".as_ptr() as u64;
    load[8] = pair(0, BPF_XDP);
    let program = bpf(BPF_PROG_LOAD, &load);
    // prog_fd, target_ifindex; attach_type, flags
    let fd = u64::try_from(program.as_raw_fd()).expect("a descriptor");
    bpf(
        BPF_LINK_CREATE,
        &[pair(fd, ifindex.into()), pair(BPF_XDP, 0)],
    )
}
