//! Frames that nobody would send, at the real programs and at the code that reads what they hand up:
//! valid frames of every kind with bits flipped, ends cut off, lengths wrong, tags put in, pieces of
//! others put in. `cargo xtask test` goes a fixed number of rounds, `cargo xtask fuzz` as long as it
//! is told.
//!
//! What is thrown follows from a seed, which a failure names. A failure becomes a named fixture in
//! `tests/fixtures`, or a test beside the code, and stays there.
//!
//! | file | what it holds |
//! |---|---|
//! | [`campaign`] | rounds, seeds, and for how long |
//! | [`frames`], [`mutate`] | frames, and what a hostile wire makes of them |
//! | [`leg`], [`oracle`] | attachments, and what may become of a frame between them |
//! | [`stats`] | what an instance counts |
//! | [`switch`], [`gateway`] | the two programs |
//! | [`reading`] | reading frames, against etherparse; splitting records |
//! | [`text`] | command lines and the control socket |

mod campaign;
mod frames;
mod gateway;
mod leg;
mod mutate;
mod oracle;
mod reading;
mod stats;
mod switch;
mod text;
