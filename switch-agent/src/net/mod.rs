//! Talking to the kernel about network devices, and sending frames out of them.
//!
//! Everything here acts in the network namespace of the *calling thread* and asks netlink and
//! ioctls only: `/sys/class/net` shows the namespace in which `/sys` was mounted, which under
//! `nsenter --net=` is another one.

pub mod ethtool;
pub mod link;
mod netlink;
pub mod netns;
pub mod packet;
pub mod xdp_features;

#[cfg(test)]
pub(crate) mod testing;
