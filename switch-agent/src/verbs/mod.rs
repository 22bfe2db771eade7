//! What the commands that talk to a running instance do, and how they show it.

mod bind;
mod check;
mod detach;
mod events;
mod explain;
mod flows;
mod foreground;
mod gateway;
mod move_;
mod release;
mod run;
mod stats;
pub mod table;
#[cfg(test)]
mod tests;
mod unbind;

use std::io::{self, ErrorKind};

pub use bind::bind;
pub use check::{check, check_gateway};
pub use detach::detach;
pub use events::{events, print_event};
pub use explain::{explain, print_explanation};
pub use flows::{flows, print_flows};
pub use gateway::gateway;
pub use move_::move_;
pub use release::release;
pub use run::run;
pub use stats::{print_stats, stats};
pub use unbind::unbind;

use crate::control::ClientError;

/// Takes what a running instance says, or what can be known without one:
/// `offline` reads the pinned maps, and has nothing where none are pinned.
fn either<T>(
    running: Result<T, ClientError>,
    offline: impl FnOnce() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    match running {
        Err(error) if error.is_not_running() => offline()?.ok_or_else(|| error.into()),
        other => Ok(other?),
    }
}

/// Whoever read our output has seen enough, as in `| head`: an end, not a
/// failure.
fn until_closed(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
