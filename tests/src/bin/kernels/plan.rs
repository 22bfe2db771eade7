//! Which tests run, what they need of a kernel, and which kernels must refuse.

use anyhow::{Context, Result};

/// The oldest kernel that the switch runs on; the agent's own tests hold it to the same one.
const MINIMUM: (u32, u32) = (6, 1);

/// What a kernel has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Pass every test.
    Pass,
    /// Have the agent say what it lacks.
    Refuse,
}

/// Tests of one program of `tests/tests`.
#[derive(Clone, Copy, Debug)]
pub struct Tests {
    /// The program.
    pub program: &'static str,
    /// Which of its tests, by parts of their names; all if there are none.
    pub filters: &'static [&'static str],
    /// How many run side by side.
    pub threads: usize,
}

/// Everything about frames, and of the lab what it stands and falls with.
pub const TESTS: [Tests; 3] = [
    Tests {
        program: "fixtures",
        filters: &[],
        threads: 2,
    },
    Tests {
        program: "switch",
        filters: &[
            // It learns and forwards, over each kind of port.
            "traffic::",
            // A VM under load moves, both directions at once.
            "moves::",
            // The agent is killed, the next adopts what it has left; detach, ports put back.
            "crash::",
            // Frames for everyone, and the host's own.
            "tags::",
        ],
        threads: 2,
    },
    Tests {
        program: "gateway",
        filters: &["forward::", "snoop::", "rarp::", "crash::", "system::"],
        threads: 2,
    },
];

/// What the lab's namespaces, cables and stand-ins are made of.
pub const MODULES: [&str; 14] = [
    "veth",
    "8021q",
    "bridge",
    "tun",
    "macvlan",
    "sch_netem",
    "sch_prio",
    "sch_ingress",
    "cls_u32",
    "cls_bpf",
    "act_mirred",
    "act_vlan",
    "act_gact",
    "act_bpf",
];

/// What the kernel of this release has to do.
///
/// # Errors
/// When the release is no version.
pub fn expected(release: &str) -> Result<Expected> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let version = number().zip(number());
    let version = version.with_context(|| format!("{release:?} is no kernel release"))?;
    Ok(if version < MINIMUM {
        Expected::Refuse
    } else {
        Expected::Pass
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_older_refuses() -> Result<()> {
        assert_eq!(expected("5.10.0-46-cloud-amd64")?, Expected::Refuse);
        assert_eq!(expected("6.1.0-56-cloud-amd64")?, Expected::Pass);
        assert_eq!(expected("7.3.4+deb13-cloud-amd64")?, Expected::Pass);
        assert!(expected("new").is_err());
        Ok(())
    }
}
