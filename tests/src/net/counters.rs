//! What the kernel counts at an interface, whatever the switch says of itself.

use anyhow::{Context, Result};
use futures::TryStreamExt;
use rtnetlink::packet_route::link::LinkAttribute;

use super::netlink::with_netlink;
use crate::Namespace;

/// Frames that an interface has passed on since it was made.
///
/// On a veth pair, frames sent at one end are counted where the other end receives them: none
/// that still lies between the two is in here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames in.
    pub rx_packets: u64,
    /// Frames out.
    pub tx_packets: u64,
    /// Frames that it was to send and did not: on a veth, because the other end had no room.
    pub tx_dropped: u64,
}

impl Namespace {
    /// The counters of a link.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn counters(&self, name: &str) -> Result<LinkCounters> {
        let attributes = with_netlink(self, async |handle| {
            let request = handle.link().get().match_name(name);
            let answer = request.execute().try_next().await?.context("no answer")?;
            Ok(answer.attributes)
        })
        .with_context(|| format!("look up link {name} in {}", self.name()))?;
        let counters = attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Stats64(stats) => Some(LinkCounters {
                rx_packets: stats.rx_packets,
                tx_packets: stats.tx_packets,
                tx_dropped: stats.tx_dropped,
            }),
            _ => None,
        });
        counters.with_context(|| format!("link {name} in {} has no counters", self.name()))
    }
}
