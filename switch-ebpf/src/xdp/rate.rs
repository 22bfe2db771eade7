//! Rate limits whose state all CPUs share.

use aya_ebpf::helpers::bpf_ktime_get_ns;

use super::Shared;
use crate::limit::Limit;

/// How often another CPU may win the race for a place under the limit before the frame is taken to
/// be above it.
const TRIES: usize = 4;

/// Whether one more frame is within the limit; `due` is when the next one is.
///
/// A function of its own: no frame that is forwarded comes here, and five copies of the loop are a fifth of
/// what the verifier has to follow.
#[inline(never)]
pub fn within(due: Option<Shared>, limit: Limit) -> bool {
    let Some(due) = due else {
        return false;
    };
    for _ in 0..TRIES {
        let before = due.load();
        // SAFETY: a helper without arguments.
        let Some(after) = limit.pass(before, unsafe { bpf_ktime_get_ns() }) else {
            return false;
        };
        if due.replace(before, after) {
            return true;
        }
    }
    false
}
