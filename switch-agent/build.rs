//! Builds the XDP programs of `switch-ebpf` into `OUT_DIR`, where the agent includes them from.

fn main() -> anyhow::Result<()> {
    ebpf_build::build("switch-ebpf", &["switch", "gateway"])
}
