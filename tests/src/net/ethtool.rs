//! Offloads, through the ethtool ioctl and by the kernel's own names for them.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, AsRawFd},
};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::Namespace;

// linux/ethtool.h
const GSTRINGS: u32 = 0x1b;
const GSSET_INFO: u32 = 0x37;
const GFEATURES: u32 = 0x3a;
const SFEATURES: u32 = 0x3b;
const SS_FEATURES: u32 = 4;
const STRING_LEN: usize = 32;

/// Every command's buffer is a sequence of these, and the kernel wants it aligned.
type Word = u32;

/// The features of a link and whether each is on.
///
/// # Errors
/// When there is no such link.
pub fn features(namespace: &Namespace, link: &str) -> Result<BTreeMap<String, bool>> {
    namespace
        .run(|| read(link))
        .with_context(|| format!("read the offloads of {link} in {}", namespace.name()))
}

/// Switches features on and off, and makes sure that they are.
///
/// # Errors
/// When the link does not have a feature or keeps it as it is.
pub fn set_features(namespace: &Namespace, link: &str, wanted: &[(&str, bool)]) -> Result<()> {
    namespace
        .run(|| write(link, wanted))
        .with_context(|| format!("set the offloads of {link} in {}", namespace.name()))
}

fn write(link: &str, wanted: &[(&str, bool)]) -> Result<()> {
    let names = names(link)?;
    // After command and size: pairs of (valid, requested), 32 features each.
    let blocks = names.len().div_ceil(32);
    let mut request = vec![0; 2 + 2 * blocks];
    request[0] = SFEATURES;
    request[1] = Word::try_from(blocks)?;
    for (name, on) in wanted {
        let Some(bit) = names.iter().position(|known| known == name) else {
            bail!("the kernel knows no feature {name}");
        };
        let block = 2 + 2 * (bit / 32);
        request[block] |= 1 << (bit % 32);
        request[block + 1] |= Word::from(*on) << (bit % 32);
    }
    // A success with "not all of it" is told from a real one by looking.
    ioctl(link, &mut request).context("ETHTOOL_SFEATURES")?;
    let active = read(link)?;
    for (name, on) in wanted {
        if active.get(*name) != Some(on) {
            bail!("{name} stays {}", if *on { "off" } else { "on" });
        }
    }
    Ok(())
}

fn read(link: &str) -> Result<BTreeMap<String, bool>> {
    let names = names(link)?;
    // After command and size: quadruples of (available, requested, active, never changed).
    let blocks = names.len().div_ceil(32);
    let mut request = vec![0; 2 + 4 * blocks];
    request[0] = GFEATURES;
    request[1] = Word::try_from(blocks)?;
    ioctl(link, &mut request).context("ETHTOOL_GFEATURES")?;
    let active = |bit: usize| request[2 + 4 * (bit / 32) + 2] & (1 << (bit % 32)) != 0;
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(bit, name)| (name, active(bit)))
        .collect())
}

/// The names of all features; the position is the bit.
fn names(link: &str) -> Result<Vec<String>> {
    // Command, reserved, a 64-bit mask of string sets, and room for one count.
    let mut count = [GSSET_INFO, 0, 1 << SS_FEATURES, 0, 0];
    ioctl(link, &mut count).context("ETHTOOL_GSSET_INFO")?;
    let length = usize::try_from(count[4])?;
    let mut strings = vec![0; 3 + length * STRING_LEN / size_of::<Word>()];
    strings[..3].copy_from_slice(&[GSTRINGS, SS_FEATURES, count[4]]);
    ioctl(link, &mut strings).context("ETHTOOL_GSTRINGS")?;
    let bytes: Vec<u8> = strings[3..]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    let name = |field: &[u8]| {
        let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    };
    Ok(bytes.chunks(STRING_LEN).map(name).collect())
}

/// One ethtool command on a link of the calling thread's namespace.
fn ioctl(link: &str, buffer: &mut [Word]) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let mut name = [0; libc::IFNAMSIZ];
    if link.len() >= name.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "interface name too long",
        ));
    }
    for (to, from) in name.iter_mut().zip(link.bytes()) {
        *to = from as libc::c_char;
    }
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: buffer.as_mut_ptr().cast(),
        },
    };
    // SAFETY: the request and the buffer it points to live until the call returns, and every
    // caller sizes its buffer for what its command writes.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCETHTOOL, &request) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
