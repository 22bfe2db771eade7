//! Driver name and offload features of a device, by the ioctl SIOCETHTOOL.
//!
//! Feature names are the kernel's (`netdev_features_strings` in `net/ethtool/common.c`), such as
//! `rx-vlan-hw-parse`, `rx-lro`, `rx-gro-hw`, `tx-tcp-segmentation`; `ethtool -K` takes them as
//! well. The semantics are those of `net/ethtool/ioctl.c`.

mod error;
#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

pub use error::EthtoolError;
pub(crate) use error::onoff;

// linux/ethtool.h; libc has no names for these.
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
/// Bytes of one name (ETH_GSTRING_LEN).
const GSTRING: usize = 32;

/// One offload feature of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The kernel's name for it.
    pub name: String,
    /// User space may change it.
    pub available: bool,
    /// What user space asked for; the kernel goes back to this when whatever overrides it (a
    /// dependency on another feature, an XDP program …) goes away.
    pub requested: bool,
    /// What is in force.
    pub active: bool,
    /// No device may ever change it.
    pub never_changed: bool,
}

impl Feature {
    /// `ethtool -k` shows it as `[fixed]`.
    #[must_use]
    pub fn fixed(&self) -> bool {
        !self.available || self.never_changed
    }

    /// It is as wanted and will stay so.
    #[must_use]
    pub fn settled(&self, on: bool) -> bool {
        self.active == on && (self.fixed() || self.requested == on)
    }
}

/// The name of the driver of `device`, such as `veth` or `mlx5_core`.
///
/// # Errors
/// That there is no such device, or that its driver does not say (EOPNOTSUPP).
pub fn driver(device: &str) -> Result<String, EthtoolError> {
    // struct ethtool_drvinfo: cmd, driver[32], and 160 bytes that are of no interest here.
    let mut buffer = [0_u32; 49];
    buffer[0] = ETHTOOL_GDRVINFO;
    Device::open(device, "read the driver")?.run("read the driver", &mut buffer)?;
    Ok(text(&buffer[1..=GSTRING / 4]))
}

/// All features of `device`.
///
/// # Errors
/// That there is no such device, or what the ioctl answers.
pub fn features(device: &str) -> Result<Vec<Feature>, EthtoolError> {
    Device::open(device, "read the features")?.features()
}

/// Sets features (name, on) of `device` and makes sure that they are in force then. One that is
/// already as wanted is left alone, fixed or not.
///
/// # Errors
/// [`EthtoolError::Unknown`] and [`EthtoolError::Fixed`], before anything is changed;
/// [`EthtoolError::NotChanged`] for the first that did not follow, after all were asked for.
pub fn set_features(device: &str, wanted: &[(&str, bool)]) -> Result<(), EthtoolError> {
    let dev = Device::open(device, "set the features")?;
    if !dev.request(wanted)? {
        return Ok(());
    }
    let after = dev.features()?;
    let is_set = |name: &str, on| after.iter().any(|f| f.name == name && f.active == on);
    match wanted.iter().find(|(name, on)| !is_set(name, *on)) {
        None => Ok(()),
        Some((feature, on)) => Err(EthtoolError::NotChanged {
            device: device.into(),
            feature: (*feature).into(),
            on: *on,
        }),
    }
}

/// Asks for features (name, on) of `device`, as far as it lets them be changed now: an XDP program at
/// the other end of a veth pair, for one, takes that away for as long as it is there. What is in force
/// may differ for as long as something else overrides it.
///
/// Answers the names of those that are not asked for in the end.
///
/// # Errors
/// That there is no such device, or what the ioctl answers.
pub fn request_features(
    device: &str,
    wanted: &[(&str, bool)],
) -> Result<Vec<String>, EthtoolError> {
    let dev = Device::open(device, "set the features")?;
    let before = dev.features()?;
    let may_change = |name: &str| before.iter().any(|f| f.name == name && !f.fixed());
    let possible: Vec<_> = wanted
        .iter()
        .copied()
        .filter(|(name, _)| may_change(name))
        .collect();
    dev.request(&possible)?;
    let after = dev.features()?;
    let is_asked = |name: &str, on| after.iter().any(|f| f.name == name && f.requested == on);
    Ok(wanted
        .iter()
        .filter(|(name, on)| !is_asked(name, *on))
        .map(|(name, _)| (*name).to_owned())
        .collect())
}

/// A device, and a socket to ask about it through.
struct Device<'a> {
    name: &'a str,
    socket: OwnedFd,
}

impl<'a> Device<'a> {
    /// `what` is for the error's text.
    fn open(name: &'a str, what: &'static str) -> Result<Self, EthtoolError> {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        );
        let socket = socket.map_err(|e| EthtoolError::Ioctl {
            device: name.into(),
            what,
            source: e.into(),
        })?;
        Ok(Self { name, socket })
    }

    /// Runs the ethtool command in `buffer`, which must be as long as the kernel's structure for
    /// that command is at this kernel's number of features. Answers what the ioctl does.
    fn run(&self, what: &'static str, buffer: &mut [u32]) -> Result<libc::c_int, EthtoolError> {
        let fail = |source| EthtoolError::Ioctl {
            device: self.name.into(),
            what,
            source,
        };
        // SAFETY: ifreq is plain old data, for which all zeroes is a valid value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let name = self.name.as_bytes();
        if name.len() >= request.ifr_name.len() {
            return Err(fail(io::Error::from_raw_os_error(libc::ENODEV)));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_data = buffer.as_mut_ptr().cast();
        // SAFETY: the descriptor is open, `request` and `buffer` live across the call, and the
        // kernel writes no further than the command's structure, which `buffer` holds in full: the
        // number of features is a constant of the running kernel (NETDEV_FEATURE_COUNT).
        let done = unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                libc::SIOCETHTOOL as _,
                &mut request,
            )
        };
        if done < 0 {
            return Err(fail(io::Error::last_os_error()));
        }
        Ok(done)
    }

    fn features(&self) -> Result<Vec<Feature>, EthtoolError> {
        const WHAT: &str = "read the features";
        // struct ethtool_sset_info: cmd, reserved, sset_mask (64 bits), one count per set asked for.
        let mut info = [0_u32; 5];
        info[0] = ETHTOOL_GSSET_INFO;
        let [low, high] = halves(1 << ETH_SS_FEATURES);
        (info[2], info[3]) = (low, high);
        self.run(WHAT, &mut info)?;
        let count = info[4] as usize;
        if count == 0 {
            // No kernel answers so; but were it to, the next command would write more than it said.
            return Ok(Vec::new());
        }

        // struct ethtool_gstrings: cmd, string_set, len, names.
        let mut names = vec![0_u32; 3 + count * GSTRING / 4];
        names[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, info[4]]);
        self.run(WHAT, &mut names)?;

        // struct ethtool_gfeatures: cmd, size, and per 32 features one block of four masks.
        let blocks = count.div_ceil(32);
        let mut masks = vec![0_u32; 2 + blocks * 4];
        masks[..2].copy_from_slice(&[ETHTOOL_GFEATURES, info[4].div_ceil(32)]);
        self.run(WHAT, &mut masks)?;

        let features = names[3..].chunks_exact(GSTRING / 4).enumerate();
        Ok(features
            .map(|(bit, name)| {
                let has = |mask: usize| masks[2 + bit / 32 * 4 + mask] >> (bit % 32) & 1 == 1;
                Feature {
                    name: text(name),
                    available: has(0),
                    requested: has(1),
                    active: has(2),
                    never_changed: has(3),
                }
            })
            .collect())
    }

    /// Asks for what of `wanted` is not settled. Answers whether there was anything to ask for.
    fn request(&self, wanted: &[(&str, bool)]) -> Result<bool, EthtoolError> {
        let before = self.features()?;
        let blocks = before.len().div_ceil(32);
        // struct ethtool_sfeatures: cmd, size, and per 32 features the masks valid and requested.
        let mut masks = vec![0_u32; 2 + blocks * 2];
        masks[..2].copy_from_slice(&[ETHTOOL_SFEATURES, u32::try_from(blocks).unwrap_or(0)]);
        let mut any = false;
        for &(name, on) in wanted {
            let Some(bit) = before.iter().position(|f| f.name == name) else {
                return Err(EthtoolError::Unknown {
                    device: self.name.into(),
                    feature: name.into(),
                });
            };
            if before[bit].settled(on) {
                continue;
            }
            if before[bit].fixed() {
                return Err(EthtoolError::Fixed {
                    device: self.name.into(),
                    feature: name.into(),
                    on,
                });
            }
            any = true;
            let block = 2 + bit / 32 * 2;
            masks[block] |= 1 << (bit % 32);
            masks[block + 1] |= u32::from(on) << (bit % 32);
        }
        if any {
            // The answer's bits (ETHTOOL_F_WISH …) say that something differs, not what: callers
            // read the features again instead.
            self.run("set the features", &mut masks)?;
        }
        Ok(any)
    }
}

/// The two words of a 64-bit number as they lie in memory.
fn halves(n: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = n.to_ne_bytes();
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    ]
}

/// The text in these words, up to the first zero byte.
fn text(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|w| w.to_ne_bytes());
    let bytes: Vec<u8> = bytes.take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
