//! `test`: every test there is. One that cannot run fails; nothing is skipped.

use std::{env, ffi::OsString, process::Command};

use anyhow::{Result, ensure};

use crate::{build, checks, exec};

/// The package whose tests run the real agent in namespaces.
const LAB: &str = "switch-tests";

/// Labs at a time: each keeps a switch and several hosts busy.
const LABS_AT_ONCE: &str = "2";

/// Fails where the lab cannot run.
pub fn can_run(verb: &str) -> Result<()> {
    checks::privileged(verb)?;
    checks::kernel()
}

/// Runs the host's tests, then the lab's against a release build of the agent.
pub fn run(args: &[OsString]) -> Result<()> {
    can_run("test")?;
    let agent = build::agent(true)?;

    let mut host = exec::cargo("test")?;
    host.args(["--workspace", "--exclude", LAB]);
    let mut lab = exec::cargo("test")?;
    lab.args(["--package", LAB]).env("SWITCH_AGENT", agent);
    if env::var_os("RUST_TEST_THREADS").is_none() {
        // Not `--test-threads`, which the user may pass and may be given only once.
        lab.env("RUST_TEST_THREADS", LABS_AT_ONCE);
    }

    let mut total = Summary::default();
    let mut all_succeeded = true;
    for tests in [&mut host, &mut lab] {
        all_succeeded &= run_one(tests, args, &mut total)?;
    }
    let Summary {
        passed,
        failed,
        ignored,
    } = total;
    println!("xtask: {passed} tests passed, {failed} failed, {ignored} ignored");
    ensure!(
        all_succeeded && failed == 0,
        "not all tests passed; the output above names those that failed"
    );
    ensure!(passed > 0, "no test ran; is the filter right?");
    Ok(())
}

fn run_one(tests: &mut Command, args: &[OsString], total: &mut Summary) -> Result<bool> {
    tests.args(["--locked", "--no-fail-fast", "--"]).args(args);
    let status = exec::watch(tests, |line| total.add(line))?;
    Ok(status.success())
}

/// What the test programs reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Summary {
    /// Counts a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`; others say
    /// nothing.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|result| result.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn results_of_all_test_programs_add_up() {
        let mut total = Summary::default();
        for line in [
            "test learning::moves ... ok",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s",
        ] {
            total.add(line);
        }
        let expected = Summary {
            passed: 15,
            failed: 2,
            ignored: 1,
        };
        assert_eq!(total, expected);
    }
}
