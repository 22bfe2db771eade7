//! Mobility that cannot be fooled, and an agent that may die: who is believed, what the datapath
//! learns by itself, and what a storm costs the others. Real frames through the real switch.
//!
//! | file | what it holds |
//! |---|---|
//! | [`bench`] | a switch with three sites on two trunks |
//! | [`options`] | the options that say who is believed |
//! | [`alone`] | moves while no agent runs, and what the returning one tells of them |
//! | [`always`] | moves that never ask the agent |
//! | [`at_once`] | the same move, or two moves, seen by two CPUs at once |
//! | [`back_and_forth`] | a migration that is seen at the source once more |
//! | [`storm`] | one site's storm of spoofed sources, and the others |
//!
//! Each verdict of the learning rule is seen in the laboratory:
//!
//! | verdict | where |
//! |---|---|
//! | refuse: unauthorised | [`options`], [`storm`], `switch/policy.rs` |
//! | refuse: not an address | `announcements/learning_packet.rs` |
//! | create; refuse: unknown | [`options`], `switch/policy.rs` |
//! | refresh | `switch/policy.rs` |
//! | refuse: pinned | `switch/policy.rs` |
//! | quarantine; refuse: quarantined | [`alone`], [`back_and_forth`], [`options`], `switch/late.rs` |
//! | late, for data and for announcements | [`back_and_forth`], `switch/late.rs` |
//! | move | [`alone`], [`always`], `switch/moves.rs` |
//!
//! A spoofed source of a bound address inside what its site may claim is two hosts with one address:
//! `confirm.rs`.

mod alone;
mod always;
mod at_once;
mod back_and_forth;
mod bench;
mod options;
mod storm;
