//! Programs that we start and nobody else is to end.

use std::{os::unix::process::CommandExt, process::Command};

use nix::sys::{
    prctl,
    signal::{SigHandler, Signal, signal},
};

/// Ties a program to us: when the thread that starts it ends, it is killed, and a terminal's Ctrl-C is for
/// us, who end it and clean up after it. It heeds SIGINT even where we do not, as in a shell's background.
pub fn tie(command: &mut Command) {
    let prepare = || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // SAFETY: the default is no handler of ours.
        unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls and touches no memory.
    unsafe { command.pre_exec(prepare) };
    command.process_group(0);
}
