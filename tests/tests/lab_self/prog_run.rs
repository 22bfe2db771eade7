//! A program run on frames that never were on a wire.

use anyhow::{Result, ensure};
use lab::{AttachedProgram, Namespace, Verdict, frame, net::xdp, prog_run::Input, veth};

use crate::VM_MAC;

#[test]
fn the_program_of_a_link_runs_on_one_frame() -> Result<()> {
    let (here, there) = (Namespace::new("here")?, Namespace::new("there")?);
    veth((&here, "left"), (&there, "l"))?;
    veth((&here, "right"), (&there, "r"))?;
    let none = AttachedProgram::of(&here, "left").expect_err("there is no program yet");
    ensure!(none.to_string().ends_with("has no XDP program"), "{none}");
    xdp::redirect(&here, "left", "right")?;
    let program = AttachedProgram::of(&here, "left")?;

    let rarp = frame::rarp(VM_MAC);
    let jumbo = frame::ethernet(VM_MAC, frame::BROADCAST, 0x88b5, &vec![7; 9000]);
    for sent in [&rarp, &jumbo] {
        let output = program.run(sent.as_slice())?;
        assert_eq!((output.verdict, &output.frame), (Verdict::Redirect, sent));
    }
    let output = program.run(Input {
        metadata: 8,
        ..Input::from(rarp.as_slice())
    })?;
    assert_eq!((output.verdict, output.frame), (Verdict::Redirect, rarp));

    let refused = program
        .run(&[0; 13][..])
        .expect_err("shorter than an Ethernet header");
    ensure!(format!("{refused:#}").contains("Invalid"), "{refused:#}");
    Ok(())
}
