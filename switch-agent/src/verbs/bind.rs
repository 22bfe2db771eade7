//! `bind`: puts an address at a site by hand.

use std::io::Write;

use super::until_closed;
use crate::{api::Order, cli::BindArgs, control::Client};

/// Has the running instance put an address at a site.
pub fn bind(client: &Client, args: &BindArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let BindArgs {
        address,
        site,
        pinned,
    } = args.clone();
    client.order(Order::Bind {
        address,
        site: site.clone(),
        pinned,
    })?;
    let stays = if pinned { " and stays there" } else { "" };
    Ok(until_closed(writeln!(
        out,
        "{address} is at {site}{stays}"
    ))?)
}
