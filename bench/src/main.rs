//! The benchmark: how fast the switch is, and at what cost, beside others in the same run.
//!
//! | module | what it holds |
//! |---|---|
//! | [`measure`] | the questions |
//! | [`rig`] | what is measured on |
//! | [`report`] | what was measured, and how it is shown |

mod measure;
mod report;
mod rig;

fn main() -> anyhow::Result<()> {
    lab::interrupt::watch()?;
    for (_, measure) in measure::SECTIONS {
        let section = measure(&measure::Plan::QUICK)?;
        for row in section.rows {
            let (Some(against), report::Outcome::Measured(ours, _)) = (&row.against, &row.ours)
            else {
                continue;
            };
            let report::Outcome::Measured(theirs, _) = &against.outcome else {
                continue;
            };
            println!(
                "{:40} {:16} {:.2} {:.0} {:.0}",
                row.what,
                against.name,
                against.ratio.as_ref().map_or(0.0, |r| r.median()),
                ours.median(),
                theirs.median()
            );
        }
    }
    Ok(())
}
