//! VMs that are real ones: QEMU guests on taps, live-migrated between the data centres.
//!
//! | module | what it holds |
//! |---|---|
//! | [`guest`] | a running guest, and what it is made of |
//! | [`parts`] | the files that guests are made of |
//! | [`migration`] | a migration, by QEMU's own account |
//! | [`account`] | what became of the frames meanwhile, by captures |
//! | [`session`] | a guest and the client that has to do with it |
//! | [`crossing`] | a migration as the network saw it, put together from all that |

pub mod account;
pub mod crossing;
pub mod guest;
pub mod migration;
pub mod parts;
pub mod session;

pub use account::{Account, Ears, Kind};
pub use crossing::{Crossing, Moved, moves};
pub use guest::{Card, Guest, Plan, TAP};
pub use migration::{Migrated, Migration, Way};
pub use parts::Parts;
pub use session::{Habit, Session};
