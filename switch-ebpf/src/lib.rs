//! What the switch's XDP programs and its agent share.
//!
//! * [`frame`] reads a frame: tags, addresses, and who a frame speaks for or is meant for.
//! * [`rule`] is the learning rule: a binding, evidence, a policy and the time in, a verdict out.
//! * [`abi`] are the keys, values and names of the maps, and the records of the rings.
//! * [`limit`] is the rate limit on frames to nobody known.
//! * [`learning_packet`] is what a gateway sends for an idle VM, and [`replay`] the window that lets
//!   each through once.
//!
//! Everything here is pure: no I/O, no clock, no allocation, and the same code on both sides. The
//! crate is `no_std` for the BPF target only, so that `cargo test` runs its tests on the host.

#![cfg_attr(target_arch = "bpf", no_std)]
#![cfg_attr(
    target_arch = "bpf",
    feature(asm_experimental_arch, core_intrinsics, adt_const_params)
)]
#![cfg_attr(
    target_arch = "bpf",
    expect(internal_features, reason = "atomics of the BPF target")
)]

pub mod abi;
pub mod frame;
pub mod learning_packet;
pub mod limit;
pub mod replay;
pub mod rule;
#[cfg(target_arch = "bpf")]
pub mod xdp;
