//! Builds the programs of `bench-ebpf` into `OUT_DIR`, where the benchmark includes them from.

fn main() -> anyhow::Result<()> {
    ebpf_build::build("bench-ebpf", &["traffic"])
}
