//! A few instructions of BPF: VLAN handling for the lab's stand-in devices.
//!
//! A kernel without 802.1Q has neither VLAN interfaces nor a VLAN-aware bridge nor the VLAN
//! action of traffic control, but a traffic control *program* may push, pop and redirect. These
//! are assembled here by hand: no compiler, no object file, nothing shared with the programs
//! under test.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};

use crate::Tag;

/// Which hook a program is for. XDP can redirect, but not push, pop or tell tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Traffic control.
    Tc = 3,
    /// The driver's receive path.
    Xdp = 6,
}

/// What a frame must look like for a [`Rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The outermost tag has this TPID and VLAN id; PCP and DEI do not matter.
    Tagged(Tag),
    /// Behind the outermost tag, if there is one, is this.
    Ethertype(u16),
    /// IPv6 with a hop-by-hop header: multicast listener reports, in this lab.
    HopByHop,
}

/// One thing to do with a frame. The last one of several is a `Pass`, `Drop` or `Redirect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Remove the outermost tag.
    Pop,
    /// Add a tag outside.
    Push(Tag),
    /// Go on as if there were no program.
    Pass,
    /// Away with it.
    Drop,
    /// Send it out of the link of this index.
    Redirect(u32),
}

/// What to do with the frames of a kind. The first rule that fits is followed.
pub type Rule<'a> = (When, &'a [Step]);

// The registers: R6 holds the context throughout, where LD_ABS wants it too.
const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R6: u8 = 6;

// struct __sk_buff in linux/bpf.h
const SKB_PROTOCOL: i16 = 16;
const SKB_VLAN_PRESENT: i16 = 20;
const SKB_VLAN_TCI: i16 = 24;
const SKB_VLAN_PROTO: i16 = 28;

// enum bpf_func_id
const VLAN_PUSH: i32 = 18;
const VLAN_POP: i32 = 19;
const REDIRECT: i32 = 23;

// linux/pkt_cls.h
const ACT_OK: i32 = 0;
const ACT_SHOT: i32 = 2;

const ETH_P_IPV6: u16 = 0x86dd;
/// Where an untagged IPv6 frame names its next header.
const IPV6_NEXT_HEADER: i32 = 14 + 6;

/// `struct bpf_insn`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: dst | src << 4,
        offset,
        immediate,
    }
}

const fn load_word(dst: u8, src: u8, offset: i16) -> Instruction {
    instruction(0x61, dst, src, offset, 0)
}

const fn load_frame_byte(at: i32) -> Instruction {
    instruction(0x30, R0, 0, 0, at)
}

const fn set(dst: u8, value: i32) -> Instruction {
    instruction(0xb7, dst, 0, 0, value)
}

const fn copy(dst: u8, src: u8) -> Instruction {
    instruction(0xbf, dst, src, 0, 0)
}

const fn and(dst: u8, value: i32) -> Instruction {
    instruction(0x57, dst, 0, 0, value)
}

/// Jumps unless equal; the distance is filled in when the rule is complete.
const fn unless_equal(dst: u8, value: i32) -> Instruction {
    instruction(0x55, dst, 0, 0, value)
}

const fn call(function: i32) -> Instruction {
    instruction(0x85, 0, 0, 0, function)
}

const fn exit() -> Instruction {
    instruction(0x95, 0, 0, 0, 0)
}

/// The value that the kernel keeps in network order, as the program reads it.
fn wire(value: u16) -> i32 {
    i32::from(value.to_be())
}

/// Loads a program that follows `rules`, and takes the steps of `otherwise` where
/// none fits.
///
/// # Errors
/// When the kernel refuses the program, with what its verifier said.
pub fn load(hook: Hook, rules: &[Rule<'_>], otherwise: &[Step]) -> Result<OwnedFd> {
    let mut program = vec![copy(R6, R1)];
    for (when, steps) in rules {
        rule(&mut program, *when, steps);
    }
    for one in otherwise {
        step(&mut program, *one);
    }
    load_program(hook, &program).with_context(|| format!("load a program for {rules:?}"))
}

fn rule(program: &mut Vec<Instruction>, when: When, steps: &[Step]) {
    let start = program.len();
    match when {
        When::Tagged(tag) => program.extend([
            load_word(R2, R6, SKB_VLAN_PRESENT),
            unless_equal(R2, 1),
            load_word(R2, R6, SKB_VLAN_TCI),
            and(R2, 0xfff),
            unless_equal(R2, i32::from(tag.vid)),
            load_word(R2, R6, SKB_VLAN_PROTO),
            unless_equal(R2, wire(tag.tpid)),
        ]),
        // The kernel has taken the tag out of the frame when a program sees it.
        When::Ethertype(ethertype) => program.extend([
            load_word(R2, R6, SKB_PROTOCOL),
            unless_equal(R2, wire(ethertype)),
        ]),
        When::HopByHop => program.extend([
            load_word(R2, R6, SKB_PROTOCOL),
            unless_equal(R2, wire(ETH_P_IPV6)),
            load_frame_byte(IPV6_NEXT_HEADER),
            unless_equal(R0, 0),
        ]),
    }
    let conditions = start..program.len();
    for one in steps {
        step(program, *one);
    }
    let end = program.len();
    for (at, condition) in conditions.clone().zip(&mut program[conditions]) {
        if condition.code == unless_equal(0, 0).code {
            // A jump counts from the instruction behind it; rules are a handful of them.
            condition.offset = (end - at - 1) as i16;
        }
    }
}

fn step(program: &mut Vec<Instruction>, step: Step) {
    match step {
        Step::Pop => program.extend([copy(R1, R6), call(VLAN_POP)]),
        Step::Push(tag) => program.extend([
            copy(R1, R6),
            set(R2, wire(tag.tpid)),
            set(R3, i32::from(tag.tci())),
            call(VLAN_PUSH),
        ]),
        Step::Pass => program.extend([set(R0, ACT_OK), exit()]),
        Step::Drop => program.extend([set(R0, ACT_SHOT), exit()]),
        Step::Redirect(index) => {
            // The kernel's indices are positive i32.
            program.extend([set(R1, index as i32), set(R2, 0), call(REDIRECT), exit()]);
        }
    }
}

/// The part of `union bpf_attr` for `BPF_PROG_LOAD` that is used here.
#[repr(C)]
struct LoadRequest {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

fn load_program(hook: Hook, program: &[Instruction]) -> Result<OwnedFd> {
    const PROG_LOAD: libc::c_int = 5;
    let mut log = vec![0_u8; 1 << 16];
    let mut request = LoadRequest {
        program_type: hook as u32,
        instruction_count: u32::try_from(program.len())?,
        instructions: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 1,
        log_size: u32::try_from(log.len())?,
        log: log.as_mut_ptr() as u64,
    };
    // SAFETY: the request is the command's; the instructions, the license and the log live until
    // the call returns, and their sizes are the ones given.
    unsafe { open(PROG_LOAD, &mut request) }.map_err(|error| {
        let said = log.split(|byte| *byte == 0).next().unwrap_or_default();
        anyhow::Error::new(error).context(String::from_utf8_lossy(said).into_owned())
    })
}

/// Calls bpf(2).
///
/// # Safety
/// `request` must be the part of `union bpf_attr` that `command` reads and writes, without
/// padding, and what it points to must live until the call returns and be of the sizes given.
pub(crate) unsafe fn call_kernel<T>(
    command: libc::c_int,
    request: &mut T,
) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, request, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    libc::c_int::try_from(result).map_err(io::Error::other)
}

/// Calls bpf(2) with a command whose result is a new descriptor.
///
/// # Safety
/// As for [`call_kernel`].
pub(crate) unsafe fn open<T>(command: libc::c_int, request: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { call_kernel(command, request) }?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
