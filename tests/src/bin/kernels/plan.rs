//! Which tests run, what they need of a kernel, and which kernels must refuse.

use anyhow::{Context, Result};
use lab::kernel;

/// Major and minor version of a kernel.
pub type Version = (u32, u32);

/// The oldest kernel that the agent says it runs on. It does not look at versions itself: it asks for each
/// thing, and says which version the missing ones came with.
pub const MINIMUM: Version = (5, 12);

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
    /// Which of those are left out.
    pub skipped: &'static [&'static str],
    /// How many run side by side.
    pub threads: usize,
}

/// Everything about frames, and of the lab what it stands and falls with.
pub const TESTS: [Tests; 3] = [
    Tests {
        program: "fixtures",
        filters: &[],
        skipped: &[
            // Limits of frames a second: an emulated processor sends fewer.
            "limits::more_frames_than_the_rates_allow",
            "limits::newcomers_have_the_agent_for_a_share_of_its_time",
            // The agent must be quicker than a burst, which has the only processor for itself.
            "learning::what_is_not_believed",
        ],
        threads: 2,
    },
    Tests {
        program: "switch",
        filters: &[
            // It learns and forwards, with frames that fill several buffers too.
            "traffic::both_sites_over_one_trunk",
            "traffic::a_site_with_service_tags",
            "traffic::jumbo_frames",
            "tags::frames_for_everyone",
            "tags::what_is_the_hosts",
            // A VM under load moves, both directions at once.
            "moves::",
            // The agent is killed, and the next adopts what it has left.
            "crash::traffic_does_not_notice",
            // Ports are put back, by the agent and by detach.
            "crash::a_clean_end",
            "crash::detach_puts_back",
        ],
        skipped: &[],
        threads: 2,
    },
    Tests {
        program: "gateway",
        filters: &[
            "forward::tcp_and_udp",
            "forward::everything_is_carried",
            "snoop::",
            "rarp::what_is_known",
            "crash::a_killed_gateway",
            // A switch, two gateways, an idle VM that moves.
            "system::",
        ],
        skipped: &[],
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

/// What a kernel of this version has to do.
pub fn expected(version: Version) -> Expected {
    if version < MINIMUM {
        Expected::Refuse
    } else {
        Expected::Pass
    }
}

/// The version that a release such as `6.12.118+deb13-cloud-amd64` begins with.
///
/// # Errors
/// When it does not.
pub fn version(release: &str) -> Result<Version> {
    kernel::version(release).with_context(|| format!("{release:?} is no kernel release"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_older_refuses() -> Result<()> {
        let of = |release| version(release).map(expected);
        assert_eq!(of("5.10.0-46-cloud-amd64")?, Expected::Refuse);
        assert_eq!(of("6.1.0-56-cloud-amd64")?, Expected::Pass);
        assert_eq!(of("7.3.4+deb13-cloud-amd64")?, Expected::Pass);
        assert!(of("new").is_err());
        Ok(())
    }
}
