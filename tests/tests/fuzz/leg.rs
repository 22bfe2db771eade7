//! Attachments, as an oracle knows them: it reads of a frame no more than its tags.

use std::fmt;

use lab::{
    Mac, Tag,
    frame::{TPID_C, TPID_S, tagged},
};

/// Bytes of both MACs, and of one tag.
const MACS: usize = 12;
const TAG: usize = 4;

/// An attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its port.
    pub port: &'static str,
    /// The site's name; none: the client, a LAN.
    pub site: Option<&'static str>,
    /// Its tag.
    pub tag: Option<Tag>,
}

impl fmt::Display for Leg {
    /// As the command line has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(site) = self.site {
            write!(f, "{site}=")?;
        }
        f.write_str(self.port)?;
        if let Some(tag) = self.tag {
            write!(f, ":{tag}")?;
        }
        Ok(())
    }
}

/// A frame's tags, outermost first; none where it ends within one.
pub fn tags(frame: &[u8]) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    while let Some(tag) = tag_at(frame, MACS + TAG * tags.len())? {
        tags.push(tag);
    }
    Some(tags)
}

/// A frame's outer tag, if there is one; none where it ends within it.
pub fn outer(frame: &[u8]) -> Option<Option<Tag>> {
    tag_at(frame, MACS)
}

/// The tag at an offset, if there is one; none where the frame ends within it or the ethertype behind.
fn tag_at(frame: &[u8], at: usize) -> Option<Option<Tag>> {
    let rest = frame.get(at..)?;
    let tpid = u16::from_be_bytes(*rest.first_chunk()?);
    if tpid != TPID_C && tpid != TPID_S {
        return Some(None);
    }
    let [_, _, a, b, _, _] = *rest.first_chunk::<6>()?;
    let tci = u16::from_be_bytes([a, b]);
    let tag = Tag {
        tpid,
        ..Tag::c(tci & 0xfff)
    };
    Some(Some(
        tag.with_priority((tci >> 13) as u8, tci >> 12 & 1 == 1),
    ))
}

/// The attachment of a port that a frame belongs to, by its place among all.
pub fn of(legs: &[Leg], port: &str, outer: Option<Tag>) -> Option<usize> {
    let find = |wanted: &dyn Fn(Option<Tag>) -> bool| {
        legs.iter()
            .position(|leg| leg.port == port && wanted(leg.tag))
    };
    let own = outer.and_then(|outer| find(&|tag| tag.is_some_and(|tag| same(tag, outer))));
    own.or_else(|| find(&|tag| tag.is_none()))
}

fn same(a: Tag, b: Tag) -> bool {
    (a.tpid, a.vid) == (b.tpid, b.vid)
}

/// The outer tag of a frame of an attachment, where it is that attachment's own, or a priority tag
/// before an untagged one.
pub fn own(outer: Option<Tag>, from: &Leg) -> Option<Tag> {
    outer.filter(|outer| match from.tag {
        Some(tag) => same(tag, *outer),
        None => outer.vid == 0,
    })
}

/// A frame of one attachment as it has to leave by another: without the tag of the first, or the
/// priority tag before an untagged one, and with that of the second, of the same priority.
pub fn carried(frame: &[u8], outer: Option<Tag>, from: &Leg, to: &Leg) -> Vec<u8> {
    let own = own(outer, from);
    let mut bare = frame.to_vec();
    if own.is_some() {
        bare.drain(MACS..MACS + TAG);
    }
    let tag = to.tag.map(|tag| match own {
        Some(own) => tag.with_priority(own.pcp, own.dei),
        None => tag,
    });
    tagged(tag.as_slice(), &bare)
}

/// The destination's MAC.
pub fn destination(frame: &[u8]) -> Option<Mac> {
    frame.first_chunk().copied()
}
