//! How much of the agent's time others may ask for.

use crate::limit::Limit;

/// RARP requests, learning packets and answers to the port itself, from one site: 20 000 a second, and
/// 10 000 at once, which is what the evacuation of a large host takes.
pub const ANNOUNCE_LIMIT: Limit = Limit {
    interval_ns: 50_000,
    burst_ns: 500_000_000,
};
/// Frames from addresses of one site that are not bound: 50 000 a second, and 100 000 at once, which is
/// what a large site takes that comes back.
pub const NEWCOMER_LIMIT: Limit = Limit {
    interval_ns: 20_000,
    burst_ns: 2_000_000_000,
};
/// Frames from one such address: 1000 a second. At first many more, for those that arrive while the
/// agent is about to bind the address are all to be delivered.
pub const SOURCE_LIMIT: Limit = Limit {
    interval_ns: 1_000_000,
    burst_ns: 65_536_000_000,
};
/// Frames from addresses outside what their site may claim, for the agent to tell of.
pub const UNAUTHORISED_SAMPLE: Limit = Limit {
    interval_ns: 1_000_000_000,
    burst_ns: 0,
};
/// How long frames like one that the agent has refused are dropped in the datapath, in nanoseconds.
pub const REFUSED_NS: u64 = 1_000_000_000;
