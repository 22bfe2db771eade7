//! Programs that we start and nobody else is to end.

use std::{os::unix::process::CommandExt, process::Command};

use nix::sys::{prctl, signal::Signal};

/// Ties a program to us: when the thread that starts it ends, it is killed, and a terminal's Ctrl-C is for
/// us, who end it and clean up after it.
pub fn tie(command: &mut Command) {
    let die_with_parent = || Ok(prctl::set_pdeathsig(Signal::SIGKILL)?);
    // SAFETY: between fork and exec the closure makes one system call and touches no memory.
    unsafe { command.pre_exec(die_with_parent) };
    command.process_group(0);
}
