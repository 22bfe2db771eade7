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
    for (name, measure) in measure::SECTIONS {
        if name == "forwarding" && std::env::args().len() > 1 {
            continue;
        }
        let section = measure(&measure::Plan::QUICK)?;
        for row in section.rows {
            let report::Outcome::Measured(ours, _) = &row.ours else {
                continue;
            };
            let m = |o: &report::Outcome| match o {
                report::Outcome::Measured(s, _) => s.median(),
                _ => 0.0,
            };
            let a = row.against.as_ref().map(|a| {
                (
                    a.name,
                    m(&a.outcome),
                    a.ratio.as_ref().map_or(0.0, |r| r.median()),
                )
            });
            println!("{:40} {:.0} {a:?}", row.what, ours.median());
        }
    }
    Ok(())
}
