//! What the running kernel has of what the XDP programs use.
//!
//! The kernel is asked for each thing by itself: distributions bring features to kernels that are older by
//! their version, and leave some out of newer ones.

mod ask;

use std::fmt;

use aya::{
    maps::MapType::{DevMap, Hash, LpmTrie, LruHash, PerCpuArray, RingBuf},
    programs::ProgramType,
    sys::BpfHelper,
};
use thiserror::Error;

use ask::{Answer, command, helper, map, mapped_array, program, swap, takes_buffers};

/// A version of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Something that a kernel has or has not.
struct Feature {
    /// In the operator's words.
    name: &'static str,
    /// The first Linux that has it.
    since: Version,
    /// Asks the running kernel.
    ask: fn() -> Answer,
}

const fn feature(name: &'static str, since: Version, ask: fn() -> Answer) -> Feature {
    Feature { name, since, ask }
}

/// `BPF_MAP_LOOKUP_BATCH` and `BPF_LINK_DETACH` of `enum bpf_cmd` in linux/bpf.h.
const LOOKUP_BATCH: libc::c_long = 24;
const LINK_DETACH: libc::c_long = 34;

/// What nothing works without.
const NEEDED: [Feature; 14] = [
    feature("XDP programs", Version(4, 8), || program(ProgramType::Xdp)),
    feature("BPF hash maps", Version(3, 19), || map(Hash)),
    feature("BPF per-CPU arrays", Version(4, 6), || map(PerCpuArray)),
    feature("BPF LRU maps", Version(4, 10), || map(LruHash)),
    feature("BPF prefix maps", Version(4, 11), || map(LpmTrie)),
    feature("XDP device maps", Version(4, 14), || map(DevMap)),
    feature(
        "BPF arrays in an agent's memory",
        Version(5, 5),
        mapped_array,
    ),
    feature("BPF_MAP_LOOKUP_BATCH", Version(5, 6), || {
        command::<14>(LOOKUP_BATCH)
    }),
    feature("bpf_jiffies64", Version(5, 6), || {
        helper(BpfHelper::BPF_FUNC_jiffies64)
    }),
    feature("BPF ring buffers", Version(5, 8), || map(RingBuf)),
    feature("BPF links of XDP programs", Version(5, 9), || {
        command::<1>(LINK_DETACH)
    }),
    feature("bpf_ktime_get_coarse_ns", Version(5, 11), || {
        helper(BpfHelper::BPF_FUNC_ktime_get_coarse_ns)
    }),
    feature("BPF atomic operations with a result", Version(5, 12), swap),
    feature("a way for XDP to copy frames", Version(5, 18), || {
        Ok(has_frags()? || helper(BpfHelper::BPF_FUNC_probe_read_kernel)?)
    }),
];

/// What a kernel has that the switch can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// XDP programs see frames that are in several buffers (Linux 5.18).
    pub frags: bool,
}

impl Kernel {
    /// What an operator should know of a kernel that lacks something; nothing if it lacks nothing.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        (!self.frags).then_some(
            "this kernel's XDP takes no frames in several buffers (Linux 5.18 does): a port with a \
             jumbo MTU, on most drivers above about 3500 bytes, needs `--xdp-mode generic`",
        )
    }
}

/// Why this kernel will not do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KernelError {
    /// It lacks something.
    #[error("{}", lacks(release, missing))]
    Lacks {
        /// `uname -r`.
        release: String,
        /// What, and which Linux has it.
        missing: Vec<(&'static str, Version)>,
    },
    /// It does not say.
    #[error(
        "cannot ask the kernel for {what}: {reason}; is bpf(2) allowed here? A container, a lockdown or a \
         security module may forbid it"
    )]
    Ask {
        /// What it was asked for.
        what: &'static str,
        /// What it said.
        reason: String,
    },
}

fn lacks(release: &str, missing: &[(&'static str, Version)]) -> String {
    let list: Vec<_> = missing
        .iter()
        .map(|(what, since)| format!("{what} (Linux {since})"))
        .collect();
    let newest = missing.iter().map(|(_, since)| *since).max();
    let newest = newest.unwrap_or(Version(0, 0));
    let list = list.join(", ");
    format!("kernel {release} lacks what the switch needs: {list}; boot Linux {newest} or newer")
}

/// Asks the running kernel, which takes a millisecond and leaves nothing behind.
///
/// Before Linux 5.11 maps count against the limit on locked memory, also those that are asked with: it is
/// lifted for this process.
///
/// # Errors
/// It lacks something that is needed, or does not let us ask.
pub fn probe() -> Result<Kernel, KernelError> {
    ask::lift_memlock();
    let uname = nix::sys::utsname::uname().ok();
    let release = uname.map_or_else(
        || "(unknown)".to_owned(),
        |uname| uname.release().to_string_lossy().into_owned(),
    );
    needs(&NEEDED, &release)?;
    let frags = has_frags().map_err(|reason| KernelError::Ask {
        what: "frames in several buffers",
        reason,
    })?;
    Ok(Kernel { frags })
}

/// Refuses a kernel that lacks one of these.
fn needs(needed: &[Feature], release: &str) -> Result<(), KernelError> {
    let mut missing = Vec::new();
    for Feature { name, since, ask } in needed {
        match ask() {
            Ok(true) => {}
            Ok(false) => missing.push((*name, *since)),
            Err(reason) => return Err(KernelError::Ask { what: name, reason }),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(KernelError::Lacks {
        release: release.to_owned(),
        missing,
    })
}

fn has_frags() -> Answer {
    Ok(takes_buffers()?
        && helper(BpfHelper::BPF_FUNC_xdp_get_buff_len)?
        && helper(BpfHelper::BPF_FUNC_xdp_load_bytes)?)
}

#[cfg(test)]
mod tests {
    use super::{Feature, KernelError, NEEDED, Version, command, feature, needs, probe};

    #[test]
    fn the_kernel_that_runs_the_tests_has_what_is_needed() {
        probe().expect("what the switch needs");
    }

    #[test]
    fn each_thing_is_asked_for_by_itself() {
        for Feature { name, ask, .. } in &NEEDED {
            assert_eq!(ask(), Ok(true), "{name}");
        }
    }

    #[test]
    fn what_no_kernel_has_is_not_there() {
        assert_eq!(command::<1>(100_000), Ok(false));
    }

    #[test]
    fn a_refusal_names_what_is_missing_and_which_linux_has_it() {
        let world = [
            feature("hats", Version(5, 2), || Ok(true)),
            feature("coats", Version(5, 12), || Ok(false)),
            feature("shoes", Version(5, 9), || Ok(false)),
        ];
        let error = needs(&world, "5.8.0-1").expect_err("no coats");
        assert_eq!(
            error.to_string(),
            "kernel 5.8.0-1 lacks what the switch needs: coats (Linux 5.12), shoes (Linux 5.9); boot \
             Linux 5.12 or newer"
        );
        assert_eq!(needs(&world[..1], "5.8.0-1"), Ok(()));
    }

    #[test]
    fn a_kernel_that_does_not_answer_is_not_taken_for_one_that_lacks_something() {
        let world = [feature("hats", Version(5, 2), || {
            Err("Operation not permitted".to_owned())
        })];
        let error = needs(&world, "6.1").expect_err("no answer");
        assert!(matches!(error, KernelError::Ask { what: "hats", .. }));
        assert!(error.to_string().contains("Operation not permitted"));
    }
}
