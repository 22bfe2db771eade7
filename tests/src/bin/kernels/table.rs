//! The kernels below each other.

use crate::{Found, Row};

/// The table of a run; the README's is one of these.
pub fn show(rows: &[Row]) {
    println!("\n{:<32}{:<20}{:>8}  VERDICT", "KERNEL", "SUITE", "SECONDS");
    for Row {
        suite,
        release,
        verdict,
        took,
    } in rows
    {
        let release = release.as_deref().unwrap_or("-");
        let seconds = took.as_secs_f64();
        println!("{release:<32}{:<20}{seconds:>8.0}  {verdict}", suite.name());
    }
}

/// The table of `--list`.
pub fn list(found: &[Found]) {
    println!("{:<32}SUITE", "KERNEL");
    for (suite, kernel) in found {
        match kernel {
            Ok(kernel) => println!("{:<32}{suite}", kernel.release()),
            Err(left) => println!("{:<32}{left}", "-"),
        }
    }
}
