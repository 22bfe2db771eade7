//! `release`: ends a quarantine.

use std::io::Write;

use super::until_closed;
use crate::{api::Order, cli::AddressArgs, control::Client};

/// Has the running instance end an address's quarantine.
pub fn release(client: &Client, args: &AddressArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let address = args.address;
    client.order(Order::Release { address })?;
    Ok(until_closed(writeln!(out, "{address} may move again"))?)
}
