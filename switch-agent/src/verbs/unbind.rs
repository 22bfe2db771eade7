//! `unbind`: forgets an address.

use std::io::Write;

use super::until_closed;
use crate::{api::Order, cli::AddressArgs, control::Client};

/// Has the running instance forget an address.
pub fn unbind(client: &Client, args: &AddressArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let address = args.address;
    client.order(Order::Unbind { address })?;
    Ok(until_closed(writeln!(out, "{address} is forgotten"))?)
}
