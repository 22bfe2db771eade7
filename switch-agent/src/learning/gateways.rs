//! Which learning packets are believed: signed ones once, unsigned ones where that is allowed.

use switch_ebpf::{abi::Gateway, frame::Address, learning_packet::LearningPacket, rule::Refusal};

use crate::learning_key::Key;

/// Two gateways with one id are told from one that has moved: it must have been silent for so long.
const MOVE_NS: u64 = 60_000_000_000;

/// What the operator asks of learning packets.
#[derive(Debug, Default)]
pub struct Trust {
    /// Signatures are checked with this key.
    pub key: Option<Key>,
    /// Unsigned packets are refused.
    pub signed_only: bool,
}

/// How a learning packet that may be believed has to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticity {
    /// It is signed: its sequence number counts, see [`hear`].
    Signed,
    /// Nobody vouches for it.
    Unsigned,
}

impl Trust {
    /// Whether a packet that speaks for `address` may be believed.
    ///
    /// # Errors
    /// Why not.
    pub fn check(
        &self,
        packet: &LearningPacket,
        address: &Address,
    ) -> Result<Authenticity, Refusal> {
        match (&self.key, packet.tag()) {
            (Some(key), Some(_)) if key.verify(packet, address) => Ok(Authenticity::Signed),
            (Some(_), Some(_)) => Err(Refusal::Forged),
            _ if self.signed_only => Err(Refusal::Unsigned),
            _ => Ok(Authenticity::Unsigned),
        }
    }
}

/// What is known of a gateway after a signed packet from `site`; `known` is what was before.
///
/// # Errors
/// The packet was there before, or another gateway has the same id.
pub fn hear(
    known: Option<Gateway>,
    site: u32,
    sequence: u64,
    time_ns: u64,
) -> Result<Gateway, Refusal> {
    let known = known.unwrap_or(Gateway {
        site,
        ..Gateway::default()
    });
    if known.site != site && time_ns.saturating_sub(known.heard_ns) < MOVE_NS {
        return Err(Refusal::GatewayTwice);
    }
    let window = known.window.accept(sequence).ok_or(Refusal::Replayed)?;
    Ok(Gateway {
        window,
        heard_ns: time_ns,
        site,
        ..known
    })
}

#[cfg(test)]
mod tests {
    use switch_ebpf::learning_packet::Announcement;

    use super::*;

    const VM: Address = Address::v4([10, 0, 0, 5]);

    fn packet() -> LearningPacket {
        LearningPacket::new(Announcement::Arp, 7, 1, [2; 6])
    }

    fn key(secret: u8) -> Key {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), [secret; 32]).expect("written");
        Key::load(file.path()).expect("a key")
    }

    #[test]
    fn who_is_believed() {
        let (ours, theirs) = (key(b'a'), key(b'b'));
        let signed = ours.sign(packet(), &VM);
        let forged = theirs.sign(packet(), &VM);
        let trusting = Trust::default();
        assert_eq!(trusting.check(&packet(), &VM), Ok(Authenticity::Unsigned));
        // Without a key nothing can be checked: a signature is worth as much as none.
        assert_eq!(trusting.check(&forged, &VM), Ok(Authenticity::Unsigned));
        for signed_only in [false, true] {
            let trust = Trust {
                key: Some(ours.clone()),
                signed_only,
            };
            assert_eq!(trust.check(&signed, &VM), Ok(Authenticity::Signed));
            assert_eq!(trust.check(&forged, &VM), Err(Refusal::Forged));
            let another = Address::v4([10, 0, 0, 6]);
            assert_eq!(trust.check(&signed, &another), Err(Refusal::Forged));
            let unsigned = if signed_only {
                Err(Refusal::Unsigned)
            } else {
                Ok(Authenticity::Unsigned)
            };
            assert_eq!(trust.check(&packet(), &VM), unsigned);
        }
    }

    #[test]
    fn a_sequence_number_counts_once_and_at_one_site() {
        let first = hear(None, 1, 5, 100).expect("the first");
        assert_eq!(hear(Some(first), 1, 5, 200), Err(Refusal::Replayed));
        let second = hear(Some(first), 1, 6, 200).expect("the next");
        let earlier = hear(Some(second), 1, 4, 300).expect("one that was overtaken");
        assert_eq!(hear(Some(earlier), 2, 7, 400), Err(Refusal::GatewayTwice));
        let moved = hear(Some(earlier), 2, 7, 300 + MOVE_NS).expect("moved");
        assert_eq!((moved.site, moved.window.highest), (2, 7));
        assert_eq!(
            hear(Some(moved), 2, 6, 300 + 2 * MOVE_NS),
            Err(Refusal::Replayed)
        );
    }
}
