//! `move`: moves a bound address to another site.

use std::io::Write;

use super::until_closed;
use crate::{api::Order, cli::MoveArgs, control::Client};

/// Has the running instance move an address.
pub fn move_(client: &Client, args: &MoveArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let MoveArgs { address, site } = args.clone();
    client.order(Order::Move {
        address,
        site: site.clone(),
    })?;
    Ok(until_closed(writeln!(out, "{address} is at {site}"))?)
}
