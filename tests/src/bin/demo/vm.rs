//! The same with real VMs: QEMU guests that are live-migrated.
//!
//! | module | what it holds |
//! |---|---|
//! | [`kind`] | which guests there are |
//! | [`course`] | a guest's migrations, one after the other |
//! | [`table`] | the guests side by side |

mod course;
mod kind;
mod table;

use std::env;

use anyhow::{Context, Result};

use crate::screen::Screen;

/// Migrates a guest of each kind so often, and says whether the switch did what it should.
pub fn run(screen: &mut Screen, moves: u32) -> Result<bool> {
    let program = env::current_exe().context("find this program")?;
    let guest = program.with_file_name("guest");
    let mut outcomes = Vec::new();
    for kind in kind::KINDS {
        outcomes.push(course::run(screen, kind, &guest, moves)?);
    }
    table::show(&outcomes, screen)?;
    table::verdict(&outcomes, screen)
}
