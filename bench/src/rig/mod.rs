//! What is measured on: a switch between two cables, and traffic through it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`vm`] | the addresses and MACs of VMs, by number |
//! | [`mod@populate`] | a flow table filled at once |

mod populate;
pub mod vm;

pub use populate::{now_ns, populate};
pub use vm::Family;
