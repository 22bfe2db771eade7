//! What the lab tells the kernel about networks.

pub mod address;
pub mod bpf;
pub mod counters;
pub mod ethtool;
pub mod link;
pub mod netlink;
pub mod pinned;
pub mod sysctl;
pub mod tap;
pub mod tc;
pub mod veth;
pub mod xdp;
