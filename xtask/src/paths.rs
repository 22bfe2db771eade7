//! Where things are.

use std::{
    env,
    ffi::OsString,
    path::{self, Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The root of the workspace.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target directory, absolute, because the commands started here run at the root.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        None => Ok(root().join("target")),
        Some(dir) => path::absolute(&dir)
            .with_context(|| format!("CARGO_TARGET_DIR={} is not a path", dir.display())),
    }
}

/// Where the build's own tools are installed; `switch-agent/build.rs` looks here too.
pub fn tools() -> Result<PathBuf> {
    Ok(target()?.join("tools"))
}

/// `PATH` with the build's own tools in front.
pub fn path_with_tools() -> Result<OsString> {
    let old = env::var_os("PATH").unwrap_or_default();
    let dirs = [tools()?.join("bin")]
        .into_iter()
        .chain(env::split_paths(&old));
    env::join_paths(dirs).context(
        "cannot put the tools in front of PATH: the target directory's name has a `:` in it; \
         set CARGO_TARGET_DIR to one without",
    )
}
