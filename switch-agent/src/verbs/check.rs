//! `check`: what would stop a switch, or slow it down.

use std::io::Write;

use anyhow::bail;

use super::until_closed;
use crate::{
    cli::SwitchArgs,
    datapath::Pins,
    instance::{check_host, check_ports},
    switch::{trust, wanted_ports},
    types::InstanceName,
};

/// Looks at everything that `run` would look at with the same options, and changes nothing.
pub fn check(
    instance: &InstanceName,
    args: SwitchArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let config = args.config()?;
    let host = check_host();
    let mut problems: Vec<String> = host
        .as_ref()
        .err()
        .iter()
        .map(ToString::to_string)
        .collect();
    problems.extend(trust(&config).err().iter().map(ToString::to_string));
    let mut warnings: Vec<String> = host
        .ok()
        .and_then(|kernel| kernel.warning())
        .into_iter()
        .map(str::to_owned)
        .collect();
    let ports = wanted_ports(&config);
    problems.extend(check_ports(&ports, &Pins::of(instance).programs(), |w| {
        warnings.push(w)
    }));
    let printed = warnings
        .iter()
        .try_for_each(|warning| writeln!(out, "warning: {warning}"));
    until_closed(printed)?;
    if !problems.is_empty() {
        bail!("{}", problems.join("; and "));
    }
    let names: Vec<_> = ports.iter().map(|(name, _)| name.as_str()).collect();
    Ok(until_closed(writeln!(
        out,
        "{}: can be ports of a switch",
        names.join(", ")
    ))?)
}
