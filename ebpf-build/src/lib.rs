//! Builds the BPF programs of a package of the workspace into `OUT_DIR`, where the package whose build
//! script this runs in includes them from.

use std::{
    env, fs,
    io::ErrorKind,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain, build_ebpf};

/// The third version of the BPF instruction set (Linux 5.12): it has atomic operations that return
/// the old value, and jumps that compare 32 bits. 32-bit registers alone (`+alu32`) are not enough:
/// without such jumps LLVM compares the register, filled up with zeroes, with a constant that is
/// filled up with its sign, and the two are never equal where the constant is above `i32::MAX`.
const INSTRUCTION_SET: &str = "-Ctarget-cpu=v3";

/// Builds the binaries of the workspace's package `package`; `objects` are their names.
///
/// Without a linker there are empty files in their places, and a warning.
///
/// # Errors
/// When this is not a build script of the workspace, or the programs do not build.
pub fn build(package: &str, objects: &[&str]) -> Result<()> {
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("this package is not in its workspace")?;

    // `cargo check`, clippy and the editor need something to include, whatever comes next.
    for object in objects {
        let path = out_dir.join(object);
        fs::write(&path, []).with_context(|| format!("writing {}", path.display()))?;
    }

    // target/PROFILE/build/PACKAGE/out; below target is the target's name when cross-compiling.
    let target = out_dir
        .ancestors()
        .nth(4)
        .context("OUT_DIR is not in a target directory")?;
    let tools = target.ancestors().take(2).map(|dir| dir.join("tools/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = tools.chain(env::split_paths(&path)).collect();
    let mut linkers = path.iter().map(|dir| dir.join("bpf-linker"));
    let Some(linker) = linkers.find(|linker| linker.is_file()) else {
        // A file that is not there counts as changed, so that every build looks again. The linker's
        // own path will not do: it may arrive with an old date.
        println!("cargo:rerun-if-changed=no-bpf-linker");
        println!(
            "cargo:warning=no bpf-linker: {package} is not built, and what needs it cannot run; \
             `cargo xtask setup` installs it"
        );
        return Ok(());
    };
    println!("cargo:rerun-if-changed={}", linker.display());

    share_target_dir(&out_dir, target)?;
    let path = env::join_paths(&path).context("putting bpf-linker in front of PATH")?;
    // SAFETY: a build script has one thread, this one, until `build_ebpf` starts others.
    unsafe {
        env::set_var("PATH", path);
        // Building `core` for BPF is unstable; this is for the programs' own cargo call, no other.
        env::set_var("RUSTC_BOOTSTRAP", "1");
        // `build_ebpf` sets the flags of the target itself, so this one goes by the profile; what
        // runs on the host at build time must not get it.
        env::set_var("CARGO_UNSTABLE_PROFILE_RUSTFLAGS", "true");
        env::set_var("CARGO_PROFILE_RELEASE_RUSTFLAGS", INSTRUCTION_SET);
        env::set_var("CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_RUSTFLAGS", "");
        // Cargo would repeat "Compiling …" as a warning with every later build.
        env::set_var("CARGO_TERM_QUIET", "true");
    }
    let root_dir = workspace.join(package);
    let package = Package {
        name: package,
        root_dir: root_dir
            .to_str()
            .context("the workspace's path is not UTF-8")?,
        no_default_features: false,
        features: &[],
    };
    build_ebpf([package], Toolchain::Custom(&toolchain(workspace)?))
        .context("building the XDP programs; `cargo xtask setup` installs what they need")
}

/// Builds the programs in one place for all profiles, though each has an `OUT_DIR` of its own: they
/// are the same in all, and `core` takes long.
fn share_target_dir(out_dir: &Path, target: &Path) -> Result<()> {
    let shared = target.join("xdp");
    fs::create_dir_all(&shared).with_context(|| format!("creating {}", shared.display()))?;
    let link = out_dir.join("aya-build"); // where `build_ebpf` works
    match fs::remove_file(&link) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => symlink(&shared, &link),
    }
    .with_context(|| {
        format!(
            "linking {} to {}; try `cargo clean`",
            link.display(),
            shared.display()
        )
    })
}

/// The toolchain's name: the one this build runs with, so that the linker's LLVM is the compiler's.
fn toolchain(workspace: &Path) -> Result<String> {
    if let Ok(name) = env::var("RUSTUP_TOOLCHAIN") {
        return Ok(name);
    }
    let file = workspace.join("rust-toolchain.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("channel = ")?
                .trim()
                .strip_prefix('"')?
                .strip_suffix('"')
        })
        .map(str::to_owned)
        .with_context(|| format!("{} has no line `channel = \"…\"`", file.display()))
}
