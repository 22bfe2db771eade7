//! VLAN tags, and what has to be done to a frame's outer tag between two attachments.

/// TPID of an IEEE 802.1Q tag.
pub const TPID_8021Q: u16 = 0x8100;
/// TPID of an IEEE 802.1ad service tag.
pub const TPID_8021AD: u16 = 0x88a8;
/// Bytes of one tag.
pub const TAG_LEN: usize = 4;
/// The VLAN id's bits in a TCI.
pub const VID_MASK: u16 = 0x0fff;

/// One VLAN tag, in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// [`TPID_8021Q`] or [`TPID_8021AD`].
    pub tpid: u16,
    /// PCP (3 bits), DEI (1), VLAN id (12).
    pub tci: u16,
}

impl Tag {
    /// No tag: no tag has this TPID.
    pub(super) const NONE: Self = Self { tpid: 0, tci: 0 };

    /// The VLAN id; 0 says that the tag carries a priority only (IEEE 802.1Q §9.6).
    #[inline(always)]
    pub const fn vid(&self) -> u16 {
        self.tci & VID_MASK
    }

    /// Whether `ethertype` announces a tag.
    #[inline(always)]
    pub const fn is_tpid(ethertype: u16) -> bool {
        matches!(ethertype, TPID_8021Q | TPID_8021AD)
    }

    /// The tag as it stands in a frame.
    #[inline(always)]
    pub const fn to_bytes(self) -> [u8; TAG_LEN] {
        let (tpid, tci) = (self.tpid.to_be_bytes(), self.tci.to_be_bytes());
        [tpid[0], tpid[1], tci[0], tci[1]]
    }
}

/// What to do to the outer tag of a frame that goes from one attachment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retag {
    /// Leave the frame as it is.
    Keep,
    /// Put a tag between the source MAC and the ethertype.
    Push(Tag),
    /// Take the outer tag away.
    Pop,
    /// Write another tag over the outer one.
    Rewrite(Tag),
}

impl Retag {
    /// The change for a frame whose outer tag is `outer`.
    ///
    /// `own` says whether the outer tag is the ingress attachment's (or a priority tag in front of
    /// an untagged one) and not a tag that is carried through. `egress` is the TPID and VLAN id of
    /// the egress attachment, nothing for an untagged one. PCP and DEI are kept.
    #[inline(always)]
    pub const fn between(outer: Option<Tag>, own: bool, egress: Option<(u16, u16)>) -> Self {
        match (outer, own, egress) {
            (Some(tag), true, Some((tpid, vid))) => Self::Rewrite(Tag {
                tpid,
                tci: (tag.tci & !VID_MASK) | vid,
            }),
            (Some(_), true, None) => Self::Pop,
            (_, _, Some((tpid, vid))) => Self::Push(Tag { tpid, tci: vid }),
            (_, _, None) => Self::Keep,
        }
    }

    /// By how many bytes the frame grows or shrinks.
    #[inline(always)]
    pub const fn growth(&self) -> isize {
        match self {
            Self::Keep | Self::Rewrite(_) => 0,
            Self::Push(_) => TAG_LEN as isize,
            Self::Pop => -(TAG_LEN as isize),
        }
    }
}

/// Appends `frame`, retagged, to `out`. The datapath does the same in place.
#[cfg(not(target_arch = "bpf"))]
pub fn retag_into(frame: &[u8], retag: Retag, out: &mut Vec<u8>) {
    const MACS: usize = 12;
    let macs = MACS.min(frame.len());
    out.extend_from_slice(&frame[..macs]);
    let rest = &frame[macs..];
    match retag {
        Retag::Keep => out.extend_from_slice(rest),
        Retag::Push(tag) => {
            out.extend_from_slice(&tag.to_bytes());
            out.extend_from_slice(rest);
        }
        Retag::Pop => out.extend_from_slice(rest.get(TAG_LEN..).unwrap_or_default()),
        Retag::Rewrite(tag) => {
            out.extend_from_slice(&tag.to_bytes());
            out.extend_from_slice(rest.get(TAG_LEN..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pcp_and_dei_are_kept() {
        let outer = Tag {
            tpid: TPID_8021Q,
            tci: 0xb001,
        };
        assert_eq!(
            Retag::between(Some(outer), true, Some((TPID_8021AD, 2))),
            Retag::Rewrite(Tag {
                tpid: TPID_8021AD,
                tci: 0xb002
            })
        );
    }

    #[test]
    fn a_tag_carried_through_stays() {
        let inner = Tag {
            tpid: TPID_8021Q,
            tci: 7,
        };
        assert_eq!(
            Retag::between(Some(inner), false, Some((TPID_8021Q, 1))),
            Retag::Push(Tag {
                tpid: TPID_8021Q,
                tci: 1
            })
        );
        assert_eq!(Retag::between(Some(inner), false, None), Retag::Keep);
        assert_eq!(Retag::between(Some(inner), true, None), Retag::Pop);
    }

    #[test]
    fn pop_undoes_push() {
        let frame: Vec<u8> = (0..60).collect();
        let (mut pushed, mut popped) = (Vec::new(), Vec::new());
        retag_into(
            &frame,
            Retag::Push(Tag {
                tpid: TPID_8021Q,
                tci: 1,
            }),
            &mut pushed,
        );
        assert_eq!(pushed[12..16], [0x81, 0, 0, 1]);
        retag_into(&pushed, Retag::Pop, &mut popped);
        assert_eq!(popped, frame);
    }
}
