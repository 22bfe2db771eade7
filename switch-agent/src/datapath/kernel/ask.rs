//! The questions to the kernel: each loads a tiny program, makes a small map, or calls with what cannot be.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

use aya::{
    maps::MapType,
    programs::{ProgramError, ProgramType},
    sys::{BpfHelper, SyscallError, is_helper_supported, is_map_supported, is_program_supported},
};

use super::super::bpf::bpf;

/// Whether the kernel has it, or why it does not say.
pub(super) type Answer = Result<bool, String>;

/// `enum bpf_cmd` of linux/bpf.h.
const MAP_CREATE: libc::c_long = 0;
const PROG_LOAD: libc::c_long = 5;
/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// `BPF_F_MMAPABLE`.
const MMAPABLE: u32 = 1 << 10;
/// `BPF_PROG_TYPE_XDP`.
const XDP: u32 = 6;
/// `BPF_F_XDP_HAS_FRAGS`.
const HAS_FRAGS: u32 = 1 << 5;

/// The part of `union bpf_attr` for `BPF_MAP_CREATE`.
#[repr(C)]
struct MapRequest {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct LoadRequest {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// `struct bpf_insn` of linux/bpf.h.
#[repr(C)]
struct Instruction {
    code: u8,
    /// Destination in the lower half, source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        immediate,
    }
}

/// `r0 = 1`
const PASS: Instruction = instruction(0xb7, 0, 0, 1);
/// `exit`
const EXIT: Instruction = instruction(0x95, 0, 0, 0);

/// No limit on locked memory for this process. A failure shows itself where the memory is wanted.
pub(super) fn lift_memlock() {
    let unlimited = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit is a valid one and outlives the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) } != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "cannot lift the limit on locked memory");
    }
}

/// Whether there are programs of a type.
pub(super) fn program(kind: ProgramType) -> Answer {
    is_program_supported(kind).map_err(reason)
}

/// Whether there are maps of a type.
pub(super) fn map(kind: MapType) -> Answer {
    is_map_supported(kind).map_err(|SyscallError { io_error, .. }| io_error.to_string())
}

/// Whether XDP programs may call a helper.
pub(super) fn helper(helper: BpfHelper) -> Answer {
    is_helper_supported(ProgramType::Xdp, helper).map_err(reason)
}

/// Whether bpf(2) has a command, of those that are given a descriptor in a request of `N` times 32 bits.
pub(super) fn command<const N: usize>(command: libc::c_long) -> Answer {
    // A descriptor that nobody has, in every field.
    let mut request = [u32::MAX; N];
    // SAFETY: the kernel looks at the descriptor first, and follows no pointer in the request.
    let asked = unsafe { bpf(command, &mut request) };
    match asked.map_err(|error| (error.raw_os_error(), error)) {
        Ok(_) | Err((Some(libc::EBADF), _)) => Ok(true),
        Err((Some(libc::EINVAL | libc::EOPNOTSUPP), _)) => Ok(false),
        Err((_, error)) => Err(error.to_string()),
    }
}

/// Whether an array may be in a process's memory.
pub(super) fn mapped_array() -> Answer {
    let mut request = MapRequest {
        kind: ARRAY,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        flags: MMAPABLE,
    };
    // SAFETY: the request is the command's, and points to nothing.
    opened(unsafe { bpf(MAP_CREATE, &mut request) })
}

/// Whether a program may swap a value for another if it is what it should be, and be told what it was.
pub(super) fn swap() -> Answer {
    load(
        &[
            PASS,
            instruction(0x7b, 0x0a, -8, 0), // *(u64 *)(r10 - 8) = r0
            instruction(0xdb, 0x0a, -8, 0xf1), // r0 = cmpxchg((u64 *)(r10 - 8), r0, r0)
            PASS,
            EXIT,
        ],
        0,
    )
}

/// Whether an XDP program may have frames in several buffers.
pub(super) fn takes_buffers() -> Answer {
    load(&[PASS, EXIT], HAS_FRAGS)
}

/// Whether the kernel takes an XDP program.
fn load(instructions: &[Instruction], flags: u32) -> Answer {
    let mut request = LoadRequest {
        kind: XDP,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags,
    };
    // SAFETY: the request is the command's; instructions and licence live until the call returns.
    opened(unsafe { bpf(PROG_LOAD, &mut request) })
}

/// Closes again what the kernel has made, which shows that it can. What it does not know is invalid.
fn opened(asked: io::Result<libc::c_int>) -> Answer {
    match asked {
        Ok(descriptor) => {
            // SAFETY: the kernel has just opened this descriptor for us.
            drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
            Ok(true)
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn reason(error: ProgramError) -> String {
    match error {
        ProgramError::SyscallError(SyscallError { io_error, .. }) => io_error.to_string(),
        other => other.to_string(),
    }
}
