//! What the build needs beside cargo: the sources of `core`, and bpf-linker.

use std::{fs, io, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{
    exec, paths,
    toolchain::{Llvm, Toolchain},
};

const BPF_LINKER: &str = "0.13.0";

/// Installs what is missing. Costs next to nothing when all is there.
pub fn ensure() -> Result<()> {
    let toolchain = Toolchain::current()?;
    if !toolchain.has_rust_src() {
        add_rust_src(&toolchain)?;
    }
    ensure_bpf_linker(&toolchain)
}

fn add_rust_src(toolchain: &Toolchain) -> Result<()> {
    ensure!(
        exec::on_path("rustup"),
        "the toolchain in {} has no rust-src, which the XDP programs are built from, and there is \
         no rustup to add it; install rustup: \
         curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
        toolchain.sysroot.display()
    );
    eprintln!("xtask: adding rust-src to the toolchain, once");
    exec::run(
        Command::new("rustup")
            .args(["component", "add", "rust-src"])
            .current_dir(paths::root()),
    )?;
    ensure!(
        toolchain.has_rust_src(),
        "rustup added rust-src, but not to the toolchain in use, {}; run \
         `rustup component add rust-src --toolchain NAME` for it",
        toolchain.sysroot.display()
    );
    Ok(())
}

fn ensure_bpf_linker(toolchain: &Toolchain) -> Result<()> {
    let tools = paths::tools()?;
    let linker = tools.join("bin/bpf-linker");
    let stamp = tools.join("bpf-linker.stamp");
    // The library's directory is built into the linker, so a moved toolchain needs a new one too.
    let wanted = format!(
        "bpf-linker {BPF_LINKER}\nsysroot {}\n{}",
        toolchain.sysroot.display(),
        toolchain.version
    );
    if linker.is_file() && fs::read_to_string(&stamp).is_ok_and(|built| built == wanted) {
        return Ok(());
    }

    remove(fs::remove_file(&stamp), &stamp)?;
    install_bpf_linker(toolchain, &tools)?;
    exec::stdout(Command::new(&linker).arg("--version"))
        .context("bpf-linker was built but does not run")?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

/// Builds bpf-linker against the LLVM that rustc brings along: the two must be the same one, and no
/// distribution's packages are needed.
fn install_bpf_linker(toolchain: &Toolchain, tools: &Path) -> Result<()> {
    let Llvm { link_name, major } = toolchain.llvm()?;
    let lib_dir = toolchain.lib_dir();
    let lib_dir = lib_dir.display();
    // The encoded form may hold spaces, and goes before RUSTFLAGS and any configuration.
    let flags = [
        "-L".to_owned(),
        format!("native={lib_dir}"),
        format!("-Clink-arg=-Wl,-rpath,{lib_dir}"),
        "-l".to_owned(),
        format!("dylib={link_name}"),
    ]
    .join("\x1f");
    let build_dir = tools.join("build");

    eprintln!("xtask: building bpf-linker {BPF_LINKER}, once; this takes a minute or two");
    let mut install = exec::cargo("install")?;
    install
        .args(["bpf-linker", "--version", BPF_LINKER, "--locked", "--quiet"])
        // Cargo would take the one of another toolchain for done.
        .arg("--force")
        .args(["--no-default-features", "--features"])
        .arg(format!("llvm-{major},no-llvm-linking"))
        .arg("--root")
        .arg(tools)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env("CARGO_TARGET_DIR", &build_dir)
        // It runs here, whatever the workspace is built for.
        .env_remove("CARGO_BUILD_TARGET");
    exec::run(&mut install).with_context(|| {
        format!(
            "cannot build bpf-linker {BPF_LINKER} for LLVM {major}; it needs access to crates.io \
             and a C compiler (`apt-get install gcc libc6-dev`)"
        )
    })?;
    remove(fs::remove_dir_all(&build_dir), &build_dir)
}

/// Takes what was not there for removed.
fn remove(result: io::Result<()>, path: &Path) -> Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}
