//! Which attachment of its port a frame belongs to.

use crate::{abi::AttachmentKey, frame::Frame};

/// The attachment that a frame belongs to: the one of its outer tag, else the port's untagged one.
/// `own_tag` says whether the outer tag is the attachment's own. A priority tag in front of an
/// untagged attachment counts as such, so that its PCP is kept and it does not pile up.
#[inline(always)]
pub fn attachment<T>(
    ifindex: u32,
    frame: &Frame,
    own_tag: &mut bool,
    find: impl Fn(&AttachmentKey) -> Option<&'static T>,
) -> Option<&'static T> {
    let untagged = AttachmentKey {
        ifindex,
        tpid: 0,
        vid: 0,
    };
    *own_tag = false;
    if let Some(tag) = frame.outer() {
        *own_tag = true;
        if tag.vid() != 0 {
            let tagged = AttachmentKey {
                ifindex,
                tpid: tag.tpid,
                vid: tag.vid(),
            };
            let found = find(&tagged);
            if found.is_some() {
                return found;
            }
            *own_tag = false;
        }
    }
    find(&untagged)
}
