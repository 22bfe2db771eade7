//! What is counted, and the stable names of it.

macro_rules! counted {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them, in the order of their counters.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const ENTRIES: u32 = Self::ALL.len() as u32;

            /// The stable name, in JSON and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

counted! {
    /// Why a frame was dropped.
    pub enum Drop {
        /// Shorter than an Ethernet header.
        EthernetTruncated = "ethernet-truncated",
        /// Ends within a VLAN tag.
        VlanTruncated = "vlan-truncated",
        /// More tags inside than [`MAX_CARRIED`](crate::frame::MAX_CARRIED).
        VlanTooDeep = "vlan-too-deep",
        /// Shorter than its IPv4 header says.
        Ipv4Truncated = "ipv4-truncated",
        /// An IPv4 header that contradicts itself.
        Ipv4Malformed = "ipv4-malformed",
        /// Shorter than its IPv6 header says.
        Ipv6Truncated = "ipv6-truncated",
        /// An IPv6 header of another version.
        Ipv6Malformed = "ipv6-malformed",
        /// Shorter than an ARP message.
        ArpTruncated = "arp-truncated",
        /// Not ARP for IPv4 over Ethernet, or a sender that cannot be.
        ArpMalformed = "arp-malformed",
        /// The ARP sender's MAC is not the frame's.
        ArpSenderMismatch = "arp-sender-mismatch",
        /// Shorter than a neighbour discovery message.
        NdTruncated = "nd-truncated",
        /// A neighbour solicitation or advertisement with a hop limit, code, target or flag that RFC 4861
        /// §7.1 says to discard.
        NdMalformed = "nd-malformed",
        /// To 01:80:c2:00:00:00 to 0f, which no bridge forwards.
        LinkControl = "link-control",
        /// RARP, which is not forwarded.
        Rarp = "rarp",
        /// To an address that is not bound, with `unknown = drop`.
        Unknown = "unknown",
        /// To an address that is not bound, above the rate limit of `unknown = flood`.
        UnknownRate = "unknown-rate",
        /// Longer than the port it should leave by can send.
        TooBig = "too-big",
        /// The network has no such leg.
        NoLeg = "no-leg",
        /// The driver left no room to push a tag.
        NoHeadroom = "no-headroom",
        /// The port it was redirected to took no more: its queue is full, or it is going down.
        EgressFull = "egress-full",
        /// The port it was redirected to takes no frames: it is down, or its driver cannot.
        EgressRefused = "egress-refused",
        /// The ring that it should go into was full, so that the agent never saw the frame.
        MissLost = "miss-lost",
        /// From an address outside what its site may claim.
        Unauthorised = "unauthorised",
        /// From an address that was refused a moment ago, or that the datapath itself refuses.
        Refused = "refused",
        /// From an address that is not bound, above the rate limit of its site.
        MissRate = "miss-rate",
        /// From an address that is not bound, above its own rate limit.
        SourceRate = "source-rate",
        /// A RARP request or learning packet above the rate limit of its site.
        AnnounceRate = "announce-rate",
        /// For every site, but the newcomers' ring was half full.
        FloodLost = "flood-lost",
    }
}

counted! {
    /// Limits on what reaches the agent, counted for each site.
    pub enum Limited {
        /// [`Drop::Unauthorised`].
        Unauthorised = "unauthorised",
        /// [`Drop::Refused`].
        Refused = "refused",
        /// [`Drop::MissRate`].
        MissRate = "miss-rate",
        /// [`Drop::SourceRate`].
        SourceRate = "source-rate",
        /// [`Drop::AnnounceRate`].
        AnnounceRate = "announce-rate",
        /// [`Drop::MissLost`].
        MissLost = "miss-lost",
    }
}

counted! {
    /// What else the datapath counts.
    pub enum Counter {
        /// Frames handed to the agent because the datapath could not decide on them.
        Misses = "misses",
        /// Frames handed to the agent because others of their address were on their way there.
        Queued = "queued",
        /// Moves that the datapath has made by itself.
        Moves = "moves",
        /// Records of those that found no room in the ring.
        RecordsLost = "records_lost",
        /// Late frames, forwarded.
        Late = "late",
        /// Frames to every site.
        Flooded = "flooded",
        /// Learning packets from gateways, handed to the agent.
        LearningPackets = "learning_packets",
        /// Frames left to the host.
        Passed = "passed",
        /// Frames forwarded past others of their address, because the agent could not take them.
        Overtaken = "overtaken",
    }
}
