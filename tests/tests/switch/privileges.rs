//! Users who may not be what a switch must be.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    ptr,
};

use anyhow::{Result, ensure};
use lab::{Lab, agent};

use crate::{
    RUN,
    mistakes::{one_line, output_of},
    ports::{both, left_by},
    start,
};

#[test]
fn a_user_without_the_privileges() -> Result<()> {
    // linux/capability.h
    const CAPABILITIES: [(libc::c_ulong, &str); 3] = [
        (12, "CAP_NET_ADMIN"),
        (13, "CAP_NET_RAW"),
        (21, "CAP_SYS_ADMIN"),
    ];
    let lab = Lab::fig1()?;
    let before = both(&lab)?;
    for (number, name) in CAPABILITIES {
        for verb in ["run", "check"] {
            let instance = agent::instance();
            let mut command = lab.switch.command(agent::binary()?);
            command
                .args(["--instance", &instance, verb])
                .args(&RUN[1..]);
            let drop = move || {
                // SAFETY: the call takes numbers only.
                match unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            };
            // SAFETY: between fork and exec the closure makes one system call.
            unsafe { command.pre_exec(drop) };
            let (status, said) = output_of(&command.output()?);
            ensure!(status == Some(1), "{said}");
            one_line(&said, &[&format!("needs the capability {name}"), "sudo"])?;
            assert_eq!(left_by(&instance), [] as [&str; 0]);
        }
    }
    assert_eq!(both(&lab)?, before);
    Ok(())
}

#[test]
fn a_user_who_is_not_root() -> Result<()> {
    const NOBODY: libc::uid_t = 65_534;
    let (lab, _vm, agent) = start(&[])?;
    let before = both(&lab)?;
    // By its descriptor: the directories on the way to it may be closed to that user.
    let binary = File::open(agent::binary()?)?;
    let ask = |instance: &str, arguments: &[&str]| -> Result<_> {
        let program = format!("/proc/self/fd/{}", binary.as_raw_fd());
        let mut command = lab.switch.command(program);
        command.args(["--instance", instance]).args(arguments);
        let become_nobody = || {
            // SAFETY: the calls take numbers, and no groups at all.
            let results = unsafe {
                [
                    libc::setgroups(0, ptr::null()),
                    libc::setgid(NOBODY),
                    libc::setuid(NOBODY),
                ]
            };
            match results {
                [0, 0, 0] => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: between fork and exec the closure makes three system calls.
        unsafe { command.pre_exec(become_nobody) };
        Ok(output_of(&command.output()?))
    };
    let (own, other) = (agent.instance(), agent::instance());
    for (instance, arguments, words) in [
        (
            other.as_str(),
            &RUN[..],
            &["cannot make the control socket", "runs as root"][..],
        ),
        (
            &other,
            &[&["check"], &RUN[1..]].concat(),
            &["CAP_NET_ADMIN", "sudo"],
        ),
        (
            &other,
            &["detach"],
            &["cannot make the control socket", "runs as root"],
        ),
        (own, &["flows"], &["may not talk to instance", "sudo"]),
        (
            own,
            &["unbind", "10.0.0.13"],
            &["may not talk to instance", "sudo"],
        ),
    ] {
        let (status, said) = ask(instance, arguments)?;
        ensure!(status == Some(1), "{arguments:?}: {said}");
        one_line(&said, words)?;
        // Each cause is named once.
        ensure!(said.matches("denied").count() <= 1, "{said}");
    }
    assert_eq!(both(&lab)?, before);
    Ok(())
}
