//! `kernels`: the core of the tests on Debian's kernels, in virtual machines.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{build, checks, exec};

const PACKAGE: &str = "switch-tests";

/// The test programs that run in the guests.
const PROGRAMS: [&str; 3] = ["fixtures", "switch", "gateway"];

/// Builds the agent and what boots the kernels, and becomes the latter.
pub fn run(args: &[OsString]) -> Result<()> {
    exec::replace(&mut ready(args)?)
}

/// The same as one step of many.
pub fn all() -> Result<()> {
    exec::run(&mut ready(&[])?)
}

fn ready(args: &[OsString]) -> Result<std::process::Command> {
    let mut kernels = build::with_agent(PACKAGE, "kernels", &[], args)?;
    if !checks::only_prints(args) {
        for (name, file) in PROGRAMS.iter().zip(built()?) {
            let mut value = OsString::from(format!("{name}="));
            value.push(file);
            kernels.arg("--program").arg(value);
        }
    }
    Ok(kernels)
}

/// Builds the test programs as `cargo xtask test` does, so that nothing is built twice, and finds them.
fn built() -> Result<Vec<PathBuf>> {
    let mut build = exec::cargo("test")?;
    build.args(["--locked", "--no-run", "--package", PACKAGE]);
    for program in PROGRAMS {
        build.args(["--test", program]);
    }
    let messages = exec::stdout(build.args(["--message-format", "json-render-diagnostics"]))?;
    let find = |program| {
        messages
            .lines()
            .find_map(|line| executable(line, program))
            .with_context(|| format!("cargo did not say where test program `{program}` is"))
    };
    PROGRAMS.into_iter().map(find).collect()
}

/// Where a line of cargo's says that this test program is.
fn executable(line: &str, program: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let target = &message["target"];
    if message["reason"] != "compiler-artifact" || target["name"] != program {
        return None;
    }
    (target["kind"][0] == "test").then(|| message["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_program_is_told_from_others_of_its_name() {
        let line = |kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"switch"}},"executable":"/t/switch-1"}}"#
            )
        };
        let found = executable(&line("test"), "switch");
        assert_eq!(found.as_deref(), Some("/t/switch-1".as_ref()));
        assert_eq!(executable(&line("bin"), "switch"), None);
        assert_eq!(executable(&line("test"), "gateway"), None);
        assert_eq!(executable("   Compiling …", "switch"), None);
    }
}
