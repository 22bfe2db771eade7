//! What the command line prints as JSON and what the control socket carries.
//! Field names and their order are an interface: tools read them.

mod any;
mod event;
mod explain;
mod flow;
mod gateway;
mod stats;
mod wire;

pub use any::{AnyEvent, AnyStats};
pub(crate) use event::time_text;
pub use event::{Event, EventKind, Evidence};
pub use explain::{Asking, Bound, Explanation, Prospect, Seen, SiteView};
pub use flow::{End, Flow, FlowState, Instruction, Match, Rule, Traffic};
pub use gateway::{
    GatewayEvent, GatewayEventKind, GatewayStats, Known, LearningPackets, Notification, Notify,
    Questions,
};
pub use stats::{AgentStats, BindingStats, Counters, Latency, PortStats, SiteStats, Stats};
pub use wire::{Envelope, Order, Request, Response};

/// Samples for the tests of those who show or carry these.
#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::{
        event::tests::moved,
        explain::tests::explanation,
        flow::tests::flow,
        gateway::tests::{announced, gateway_stats},
        stats::tests::stats,
    };
}
