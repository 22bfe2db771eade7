//! `check` and `gateway --check`: what would stop a switch or a gateway, or slow it down.

use std::io::Write;

use anyhow::bail;

use super::until_closed;
use crate::{
    cli::{GatewayArgs, SwitchArgs},
    datapath::Pins,
    gateway,
    instance::{check_host, check_ports},
    ports::Port,
    switch::{trust, wanted_ports},
    types::{InstanceName, PortName},
};

/// Looks at everything that `run` would look at with the same options, and changes nothing.
pub fn check(
    instance: &InstanceName,
    args: SwitchArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let config = args.config()?;
    let trust = trust(&config).err();
    let problems = trust.iter().map(ToString::to_string).collect();
    let ports = wanted_ports(&config);
    judge(instance, &ports, "a switch", problems, out)
}

/// The same for a gateway, with the options of `gateway`.
pub fn check_gateway(
    instance: &InstanceName,
    args: GatewayArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let config = args.config()?;
    let problems = gateway::unreadable_files(&config);
    let ports = gateway::wanted_ports(&config);
    judge(instance, &ports, "a gateway", problems, out)
}

/// Looks at host and ports, and says what there is to say of them and which other problems there are.
fn judge(
    instance: &InstanceName,
    ports: &[(PortName, Port)],
    whose: &str,
    others: Vec<String>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let host = check_host();
    let mut problems: Vec<String> = host
        .as_ref()
        .err()
        .iter()
        .map(ToString::to_string)
        .collect();
    problems.extend(others);
    let warning = host.ok().and_then(|kernel| kernel.warning());
    let mut warnings: Vec<String> = warning.into_iter().map(str::to_owned).collect();
    problems.extend(check_ports(ports, &Pins::of(instance).programs(), |w| {
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
        "{}: can be ports of {whose}",
        names.join(", ")
    ))?)
}
