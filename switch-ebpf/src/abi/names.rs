//! The names of the maps, in the object and in the directory they are pinned in.

/// `u32` ifindex → [`Port`](super::Port).
pub const PORTS: &str = "PORTS";
/// Port index → device to redirect to.
pub const EGRESS: &str = "EGRESS";
/// [`AttachmentKey`](super::AttachmentKey) → [`Attachment`](super::Attachment).
pub const ATTACHMENTS: &str = "ATTACHMENTS";
/// [`AttachmentKey::place`](super::AttachmentKey::place) → [`Place`](super::Place): what is in
/// [`ATTACHMENTS`] once more, to be found without a call.
pub const PLACES: &str = "PLACES";
/// Site id → [`Leg`](super::Leg).
pub const SITES: &str = "SITES";
/// Network id → [`Network`](super::Network).
pub const NETWORKS: &str = "NETWORKS";
/// Network id → when the next frame to an unknown station is due (`u64`).
pub const FLOOD_DUE: &str = "FLOOD_DUE";
/// Site id → when its next announcement is due (`u64`): see [`ANNOUNCE_LIMIT`](super::ANNOUNCE_LIMIT).
pub const ANNOUNCE_DUE: &str = "ANNOUNCE_DUE";
/// Site id → [`SitePolicy`](super::SitePolicy).
pub const SITE_POLICIES: &str = "SITE_POLICIES";
/// [`AllowKey`](super::AllowKey) → 1, by the longest prefix.
pub const ALLOWED: &str = "ALLOWED";
/// [`SourceKey`](super::SourceKey) → until when it is refused (`u64`), written by the agent.
pub const REFUSED: &str = "REFUSED";
/// [`SourceKey`](super::SourceKey) → when the next frame of a newcomer is due (`u64`).
pub const SOURCE_DUE: &str = "SOURCE_DUE";
/// Site id → when the next frame of any newcomer is due (`u64`).
pub const NEWCOMER_DUE: &str = "NEWCOMER_DUE";
/// Site id → when the next sample of the unauthorised is due (`u64`).
pub const SAMPLE_DUE: &str = "SAMPLE_DUE";
/// Site id × [`Limited`](super::Limited) → frames, per CPU.
pub const LIMITED: &str = "LIMITED";
/// A gateway's id (`u32`) → [`Gateway`](super::Gateway).
pub const GATEWAYS: &str = "GATEWAYS";
/// [`BindingKey`](super::BindingKey) → [`Binding`](super::Binding).
pub const BINDINGS: &str = "BINDINGS";
/// [`shortcut::Sought::line`](super::shortcut::Sought::line) → [`shortcut::Line`](super::shortcut::Line).
pub const SHORTCUTS: &str = "SHORTCUTS";
/// A shortcut's place, among those of all lines → [`shortcut::Owner`](super::shortcut::Owner).
pub const SHORTCUT_OWNERS: &str = "SHORTCUT_OWNERS";
/// A shortcut's place, CPU by CPU → [`shortcut::ShortcutTraffic`](super::shortcut::ShortcutTraffic). No
/// per-CPU map, whose elements the kernel finds by a table of pointers: that is one more line of memory.
pub const SHORTCUT_TRAFFIC: &str = "SHORTCUT_TRAFFIC";
/// [`shortcut::Seed`](super::shortcut::Seed), one. Written by the agent once, with [`META`].
pub const SHORTCUT_SEED: &str = "SHORTCUT_SEED";
/// Slot → [`FlowTraffic`](super::FlowTraffic), counted by the agent.
pub const AGENT_FLOW_TRAFFIC: &str = "AGENT_FLOW_TRAFFIC";
/// Slot → [`FlowTraffic`](super::FlowTraffic), counted by all CPUs together.
pub const FLOW_TRAFFIC: &str = "FLOW_TRAFFIC";
/// Slot → [`Queued`](super::Queued).
pub const QUEUED: &str = "QUEUED";
/// [`traffic`](super::traffic) index → [`Traffic`](super::Traffic), per CPU.
pub const TRAFFIC: &str = "TRAFFIC";
/// [`Cpu`](super::Cpu), one, per CPU.
pub const CPU: &str = "CPU";
/// [`Drop`](super::Drop) → frames, per CPU.
pub const DROPS: &str = "DROPS";
/// [`Counter`](super::Counter) → frames, per CPU.
pub const COUNTERS: &str = "COUNTERS";
/// The ring of all that concerns bound addresses, and of announcements: what a move waits behind.
pub const MISSES: &str = "MISSES";
/// The ring of frames from addresses that are not bound, or that were not when their handover began,
/// and of those for every site.
pub const NEWCOMERS: &str = "NEWCOMERS";
/// [`Meta`](super::Meta), one.
pub const META: &str = "META";
/// The time at which the agent last said that it lives (`u64`, `CLOCK_MONOTONIC` ns), one.
pub const HEARTBEAT: &str = "HEARTBEAT";
/// 1 while the agent sleeps, or is about to, and nobody has woken it yet (`u64`), one. The agent sets it and
/// then looks at the rings; a program has its place in a ring and then looks at this: one of them sees
/// the other.
pub const ASLEEP: &str = "ASLEEP";
/// Index of [`agent`](super::agent) → `u64`, counted by the agent.
pub const AGENT: &str = "AGENT";
/// [`traffic`](super::traffic) index → [`Forwarded`](super::Forwarded), counted by the agent.
pub const AGENT_TRAFFIC: &str = "AGENT_TRAFFIC";
/// Site id → [`Label`](super::Label).
pub const SITE_NAMES: &str = "SITE_NAMES";
/// Network id → [`Label`](super::Label).
pub const NETWORK_NAMES: &str = "NETWORK_NAMES";
/// Port index → [`Label`](super::Label).
pub const PORT_NAMES: &str = "PORT_NAMES";
/// No map, but the constant [`shortcut::lines`](super::shortcut::lines).
pub const LINES: &str = "LINES";
/// No map, but a constant: what is in [`SHORTCUT_SEED`].
pub const SEED: &str = "SEED";
/// No map either, but the constant that says whether a frame may be in several buffers.
pub const FRAGS: &str = "FRAGS";
/// Every map that is pinned.
pub const PINNED: [&str; 38] = [
    PORTS,
    EGRESS,
    ATTACHMENTS,
    PLACES,
    SITES,
    NETWORKS,
    FLOOD_DUE,
    ANNOUNCE_DUE,
    SITE_POLICIES,
    ALLOWED,
    REFUSED,
    SOURCE_DUE,
    NEWCOMER_DUE,
    SAMPLE_DUE,
    LIMITED,
    GATEWAYS,
    BINDINGS,
    SHORTCUTS,
    SHORTCUT_OWNERS,
    SHORTCUT_TRAFFIC,
    SHORTCUT_SEED,
    AGENT_FLOW_TRAFFIC,
    FLOW_TRAFFIC,
    QUEUED,
    TRAFFIC,
    CPU,
    DROPS,
    COUNTERS,
    MISSES,
    NEWCOMERS,
    META,
    HEARTBEAT,
    ASLEEP,
    AGENT,
    AGENT_TRAFFIC,
    SITE_NAMES,
    NETWORK_NAMES,
    PORT_NAMES,
];
