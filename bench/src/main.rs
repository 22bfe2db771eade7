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
    let args: Vec<_> = std::env::args().collect();
    if args[1] == "control-device" {
        use clap::Parser;
        #[derive(clap::Parser)]
        struct A {
            #[command(flatten)]
            args: lab::conventional::control_device::Args,
        }
        return lab::conventional::control_device::run(A::parse_from(&args[1..]).args);
    }
    lab::interrupt::watch()?;
    for (name, measure) in measure::SECTIONS {
        if args[1..].iter().any(|arg| arg == name) {
            let started = std::time::Instant::now();
            let section = measure(&measure::Plan::QUICK)?;
            for row in &section.rows {
                let show = |outcome: &report::Outcome| match outcome {
                    report::Outcome::Measured(samples, unit) => format!(
                        "p50 {} p99 {} {unit:?}",
                        samples.median(),
                        samples.percentile(99.0)
                    ),
                    report::Outcome::Missing(what) => what.clone(),
                };
                println!(
                    "{}: {} {:?} {:?}",
                    row.what,
                    show(&row.ours),
                    row.against.as_ref().map(|a| (
                        a.name,
                        show(&a.outcome),
                        a.ratio.as_ref().map(|r| r.median())
                    )),
                    row.goal
                );
            }
            println!("{name} took {:?}", started.elapsed());
        }
    }
    Ok(())
}
