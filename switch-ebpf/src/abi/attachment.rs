//! What is attached where.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// How many places there are for attachments: a power of two.
pub const PLACES: u32 = 4096;

/// [`Attachment::role`]: the client side of a network.
pub const ROLE_CLIENT: u32 = 1;

/// [`Attachment::role`]: a site of a network.
pub const ROLE_SITE: u32 = 2;

shared! {
    /// Where a frame came in.
    pub struct AttachmentKey {
        /// The port's ifindex.
        pub ifindex: u32,
        /// TPID of the frame's outer tag, 0 for an untagged attachment.
        pub tpid: u16,
        /// VLAN id of the frame's outer tag, 0 for an untagged attachment.
        pub vid: u16,
    }

    /// What is attached there. Written by the agent.
    pub struct Attachment {
        /// [`ROLE_CLIENT`] or [`ROLE_SITE`].
        pub role: u32,
        /// The network's id.
        pub network: u32,
        /// The site's id, [`NO_SITE`](super::NO_SITE) for a client.
        pub site: u32,
        /// Index of its traffic counters.
        pub traffic: u32,
        /// The port's own MAC.
        pub mac: [u8; 6],
        /// [`MODE_NATIVE`](super::MODE_NATIVE) or [`MODE_GENERIC`](super::MODE_GENERIC); 0 while the
        /// program is not attached yet.
        pub mode: u16,
    }

    /// An attachment and its key. Zero for a place that no attachment has ever wanted; with
    /// [`AttachmentKey::GONE`] where one was. Written by the agent.
    pub struct Place {
        /// The key.
        pub key: AttachmentKey,
        /// What is attached.
        pub attachment: Attachment,
    }
}

impl AttachmentKey {
    /// No attachment's key: an ifindex is positive, as an `int`.
    pub const GONE: Self = Self {
        ifindex: u32::MAX,
        tpid: 0,
        vid: 0,
    };

    /// Where its attachment is, unless another one is there.
    #[inline(always)]
    pub const fn place(&self) -> u32 {
        let words = (self.ifindex as u64) << 32 | (self.tpid as u64) << 16 | self.vid as u64;
        // Fibonacci hashing: the product's upper bits depend on all bits of the key.
        let product = words.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (product >> (u64::BITS - PLACES.ilog2())) as u32
    }
}
