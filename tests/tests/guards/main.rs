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
//! | [`storm`] | one site's storm of spoofed sources, and the others |

mod alone;
mod always;
mod at_once;
mod bench;
mod options;
mod storm;
