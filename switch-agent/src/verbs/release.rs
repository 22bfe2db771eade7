//! `release`: ends a quarantine.

use std::io::Write;

use super::until_closed;
use crate::{api::Request, cli::AddressArgs, control::Client};

/// Has the running instance end an address's quarantine.
pub fn release(client: &Client, args: &AddressArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let address = args.address;
    client.order(Request::Release { address })?;
    Ok(until_closed(writeln!(out, "{address} may move again"))?)
}
