//! Reading frames: built by etherparse or byte by byte, whole and cut off, with and without tags.

mod arp;
mod ip;
mod neighbour;
mod properties;
mod rows;
mod tags;
mod wire;

use switch_ebpf::{
    abi::Drop,
    frame::{Frame, Origin, Packet, Target},
};

/// Reads a whole frame.
fn read(bytes: &[u8]) -> Result<(Frame, Packet), Drop> {
    let frame = Frame::read(bytes)?;
    let packet = frame.packet(bytes, bytes.len())?;
    Ok((frame, packet))
}

/// What a frame from a site says of its sender.
fn origin(bytes: &[u8]) -> Result<Origin, Drop> {
    let (frame, packet) = read(bytes)?;
    frame.origin(&packet)
}

/// Whom a frame from the client is meant for.
fn target(bytes: &[u8]) -> Result<Target, Drop> {
    let (frame, packet) = read(bytes)?;
    frame.target(&packet)
}

/// Cuts the frame at every length and checks why it is dropped: `reasons` are lengths in rising
/// order, each with the reason of all frames that are shorter. The whole frame is read.
fn cut(bytes: &[u8], reasons: &[(usize, Drop)]) {
    for length in 0..bytes.len() {
        let why = reasons.iter().find(|(end, _)| length < *end);
        let (_, why) = why.unwrap_or_else(|| panic!("no reason is given for {length} bytes"));
        assert_eq!(read(&bytes[..length]), Err(*why), "{length} bytes");
    }
    assert!(read(bytes).is_ok(), "the whole frame: {:?}", read(bytes));
}
