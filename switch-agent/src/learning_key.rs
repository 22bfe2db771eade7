//! The key that a gateway signs learning packets with, and that a switch checks them by.

use std::{
    fmt, fs, io,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use switch_ebpf::{
    frame::Address,
    learning_packet::{LearningPacket, TAG_LEN},
};
use thiserror::Error;

/// The shortest key, in bytes: 128 bits, which nobody guesses.
const SHORTEST: usize = 16;
/// The longest key, in bytes: a key file is no place for more, but a wrong path leads to it easily.
const LONGEST: u64 = 4096;

/// A key shared by gateways and switch.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// Why a key file is not used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// There is no such file.
    #[error(
        "there is no key file {file}; make one with \
         `(umask 077; head -c 32 /dev/urandom | base64 > {file})`, the same for gateways and switch",
        file = .0.display()
    )]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read the key file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no file.
    #[error("the key file {} is not a regular file; name the file that the key is in", .0.display())]
    NotAFile(PathBuf),
    /// There is nothing in it.
    #[error("the key file {} is empty; put at least {SHORTEST} random bytes in it", .0.display())]
    Empty(PathBuf),
    /// The key can be guessed.
    #[error(
        "the key in {} has {length} bytes, and fewer than {SHORTEST} can be guessed; use 32 random bytes",
        path.display()
    )]
    TooShort {
        /// The file.
        path: PathBuf,
        /// What is in it.
        length: usize,
    },
    /// This cannot be meant.
    #[error(
        "the key file {} has {length} bytes, and a key has at most {LONGEST}; is it the right file?",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What is in it.
        length: u64,
    },
    /// It is no secret.
    #[error(
        "every user may read the key file {file} (mode {mode:03o}), so the key is no secret; \
         run `chmod 600 {file}`, and use another key if that was so for long",
        file = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl Key {
    /// Reads a key: the file's bytes, without the newline that an editor ends it with.
    ///
    /// # Errors
    /// The file cannot be read, its key is too short, or others may read it too.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source: io::Error| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::NotFound => KeyError::Missing(path),
                _ => KeyError::Unreadable { path, source },
            }
        };
        // The type first: opening a pipe would wait for its other end.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(KeyError::NotAFile(path.to_owned()));
        }
        let file = fs::File::open(path).map_err(unreadable)?;
        let (mode, length) = {
            let metadata = file.metadata().map_err(unreadable)?;
            (metadata.permissions().mode() & 0o777, metadata.len())
        };
        let path = path.to_owned();
        if mode & 0o004 != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        if length > LONGEST {
            return Err(KeyError::TooLong { path, length });
        }
        let mut bytes = Vec::new();
        let read = file.take(LONGEST).read_to_end(&mut bytes);
        if let Err(source) = read {
            return Err(KeyError::Unreadable { path, source });
        }
        let key = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        match key.len() {
            0 => Err(KeyError::Empty(path)),
            length @ 1..SHORTEST => Err(KeyError::TooShort { path, length }),
            _ => Ok(Self::new(key)),
        }
    }

    fn new(key: &[u8]) -> Self {
        // HMAC is defined for keys of any length (RFC 2104 §2), so that this cannot fail.
        #[expect(clippy::expect_used, reason = "see above")]
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The packet, signed for a VM's address.
    pub fn sign(&self, packet: LearningPacket, source: &Address) -> LearningPacket {
        let tag: [u8; TAG_LEN] = self.content(&packet, source).finalize().into_bytes().into();
        packet.signed(tag)
    }

    /// Whether the packet was signed with this key for this address. Takes the same time for every
    /// wrong tag.
    pub fn verify(&self, packet: &LearningPacket, source: &Address) -> bool {
        packet.tag().is_some_and(|tag| {
            self.content(packet, source)
                .verify_slice(tag.as_slice())
                .is_ok()
        })
    }

    fn content(&self, packet: &LearningPacket, source: &Address) -> Hmac<Sha256> {
        self.0
            .clone()
            .chain_update(packet.signed_content(source).as_slice())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use switch_ebpf::learning_packet::Announcement;
    use zerocopy::{FromBytes, IntoBytes};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const VM: Address = Address::v4([10, 0, 0, 5]);

    fn packet() -> LearningPacket {
        LearningPacket::new(Announcement::Arp, 7, 42, [0x52, 0x54, 0, 0x12, 0x34, 0x56])
    }

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), content).expect("write");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).expect("chmod");
        file
    }

    fn error(content: &[u8], mode: u32) -> KeyError {
        Key::load(file(content, mode).path()).expect_err("no key")
    }

    #[test]
    fn what_is_signed_can_be_checked_and_nothing_else() {
        let key = Key::new(SECRET);
        let signed = key.sign(packet(), &VM);
        assert!(key.verify(&signed, &VM));
        assert!(!key.verify(&signed, &Address::v4([10, 0, 0, 6])));
        assert!(!Key::new(b"another key, another key").verify(&signed, &VM));
        assert!(!key.verify(&packet(), &VM), "an unsigned packet");
        for at in 0..signed.as_bytes().len() {
            let mut bytes = signed.as_bytes().to_vec();
            bytes[at] ^= 1;
            let changed = LearningPacket::read_from_bytes(&bytes).expect("a packet");
            assert!(!key.verify(&changed, &VM), "byte {at}");
        }
    }

    /// Computed with Python's `hmac` over the same bytes.
    #[test]
    fn the_tag_is_hmac_sha_256() {
        let signed = Key::new(SECRET).sign(packet(), &VM);
        let tag: String = signed
            .tag()
            .expect("signed")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            tag,
            "2cf2714ee57d48839ab949e5d3d7d020f260ded64323e6d55f05973a2ac6f6ad"
        );
    }

    #[test]
    fn an_editors_newline_is_no_part_of_the_key() {
        let signed = Key::new(SECRET).sign(packet(), &VM);
        for end in ["", "\n", "\r\n"] {
            let file = file(&[SECRET, end.as_bytes()].concat(), 0o600);
            let key = Key::load(file.path()).expect("a key");
            assert!(key.verify(&signed, &VM), "{end:?}");
        }
    }

    #[test]
    fn every_failure_has_a_name() {
        assert!(matches!(error(b"", 0o600), KeyError::Empty(_)));
        assert!(matches!(error(b"\n", 0o600), KeyError::Empty(_)));
        assert!(matches!(
            error(b"fifteen bytes..\n", 0o600),
            KeyError::TooShort { length: 15, .. }
        ));
        assert!(matches!(
            error(&[7; 5000], 0o600),
            KeyError::TooLong { length: 5000, .. }
        ));
        let exposed = error(SECRET, 0o644).to_string();
        assert!(
            exposed.contains("mode 644") && exposed.contains("chmod 600 /"),
            "{exposed}"
        );
        assert!(Key::load(file(SECRET, 0o640).path()).is_ok(), "a group may");
        let missing = Key::load(Path::new("/nowhere/key")).expect_err("no file");
        assert!(matches!(missing, KeyError::Missing(_)));
        let directory = Key::load(Path::new("/")).expect_err("no file");
        assert!(matches!(directory, KeyError::NotAFile(_)));
    }

    #[test]
    fn the_key_is_not_logged() {
        assert_eq!(format!("{:?}", Key::new(SECRET)), "Key(…)");
    }

    proptest! {
        #[test]
        fn no_two_packets_have_the_same_tag(a: (u32, u64, [u8; 6]), b: (u32, u64, [u8; 6])) {
            let key = Key::new(SECRET);
            let tag = |(gateway, sequence, mac)| {
                let packet = LearningPacket::new(Announcement::Arp, gateway, sequence, mac);
                key.sign(packet, &VM).tag().copied()
            };
            prop_assert_eq!(a == b, tag(a) == tag(b));
        }
    }
}
