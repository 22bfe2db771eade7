//! What a hostile wire makes of a frame.

use fastrand::Rng;
use lab::frame::tagged;

use crate::frames;

/// Where a frame's headers are.
const HEADERS: usize = 80;

/// Changes `frame` a few times, or not at all. It has 14 bytes at least if it had them before, as
/// the kernel takes no less.
pub fn mutate(rng: &mut Rng, frame: &mut Vec<u8>) {
    let times = match rng.u8(0..8) {
        0..3 => 0,
        3..6 => 1,
        _ => rng.u8(2..5),
    };
    for _ in 0..times {
        once(rng, frame);
    }
}

fn once(rng: &mut Rng, frame: &mut Vec<u8>) {
    const ETHERNET: usize = 14;
    if frame.len() < ETHERNET {
        return;
    }
    match rng.u8(0..10) {
        0 => {
            let at = position(rng, frame);
            frame[at] ^= 1 << rng.u8(0..8);
        }
        1 => {
            let at = position(rng, frame);
            frame[at] = rng.u8(..);
        }
        2 => wrong_length(rng, frame),
        3 => frame.truncate(rng.usize(ETHERNET..=frame.len())),
        // Within the headers.
        4 => frame.truncate(rng.usize(ETHERNET..=frame.len().min(HEADERS))),
        5 => frame.extend(frames::bytes(rng, 64)),
        6 => {
            let tag = frames::tag(rng);
            *frame = tagged(&[tag], frame);
        }
        7 => splice(rng, frame),
        8 => {
            // A piece is missing.
            let from = rng.usize(ETHERNET..=frame.len());
            let to = rng.usize(from..=frame.len().min(from + 8));
            frame.drain(from..to);
        }
        _ => {
            // A piece is there twice.
            let from = rng.usize(ETHERNET..=frame.len());
            let to = rng.usize(from..=frame.len().min(from + 8));
            let piece = frame[from..to].to_vec();
            frame.splice(from..from, piece);
        }
    }
}

/// A byte of the headers, mostly.
fn position(rng: &mut Rng, frame: &[u8]) -> usize {
    let most = if rng.u8(0..8) == 0 {
        frame.len()
    } else {
        frame.len().min(HEADERS)
    };
    rng.usize(0..most)
}

/// Writes a number at which something may end over two bytes of the headers.
fn wrong_length(rng: &mut Rng, frame: &mut [u8]) {
    let at = rng.usize(12..frame.len().min(HEADERS) - 1);
    let near = frame.len() as u16;
    let number = match rng.u8(0..6) {
        0 => 0,
        1 => u16::MAX,
        2 => rng.u16(0..64),
        3 => near,
        4 => near.wrapping_sub(rng.u16(0..64)),
        _ => near.wrapping_add(rng.u16(0..4)),
    };
    frame[at..at + 2].copy_from_slice(&number.to_be_bytes());
}

/// The beginning of this and the end of another.
fn splice(rng: &mut Rng, frame: &mut Vec<u8>) {
    let other = frames::any(rng);
    let at = rng.usize(12..=frame.len().min(HEADERS));
    let from = rng.usize(12..=other.len());
    frame.truncate(at);
    frame.extend(&other[from..]);
    // An Ethernet header is always there.
    frame.resize(frame.len().max(14), 0);
}
