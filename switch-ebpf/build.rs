//! Tells bpf-linker which BPF instructions it may use.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if target == "bpf" {
        // Atomic operations that return the old value come with 32-bit registers in the third
        // version of the instruction set (Linux 5.12). rustc passes `--cpu generic`, which cannot
        // be given twice.
        println!("cargo:rustc-link-arg-bins=--cpu-features=+alu32");
    }
}
