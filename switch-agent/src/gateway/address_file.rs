//! The operator's file of which addresses a MAC may have.
//!
//! A line for each MAC: the MAC, then its addresses, separated by spaces. `#` begins a comment.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use switch_ebpf::{abi::gateway::MAX_STATION_ADDRESSES, frame::Address};
use thiserror::Error;

use crate::types::{AddressError, MacAddress, MacError, VmAddress};

/// Why the file is not used.
#[derive(Debug, Error)]
pub enum AddressFileError {
    /// It cannot be read.
    #[error("cannot read the file of addresses {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("line {line} of {}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// No MAC.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// No address of a VM.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A MAC that no station has.
    #[error("{0} is not one station's MAC")]
    NotAStation(MacAddress),
    /// A MAC and nothing more.
    #[error("{0} has no address; write MAC ADDRESS…")]
    NoAddress(MacAddress),
    /// More addresses than are asked for.
    #[error("{0} has more than {MAX_STATION_ADDRESSES} addresses")]
    TooMany(MacAddress),
}

/// Reads the file.
///
/// # Errors
/// It cannot be read, or the first line that is wrong.
pub fn load(path: &Path) -> Result<HashMap<MacAddress, Vec<Address>>, AddressFileError> {
    let text = fs::read_to_string(path).map_err(|source| AddressFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|(line, source)| AddressFileError::Line {
        path: path.to_owned(),
        line,
        source,
    })
}

fn parse(text: &str) -> Result<HashMap<MacAddress, Vec<Address>>, (usize, LineError)> {
    let mut all: HashMap<MacAddress, Vec<Address>> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let at = |source| (number + 1, source);
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let Some(mac) = words.next() else { continue };
        let mac: MacAddress = mac.parse().map_err(|e: MacError| at(e.into()))?;
        if mac.0 == [0; 6] || mac.0[0] & 1 == 1 {
            return Err(at(LineError::NotAStation(mac)));
        }
        let mut words = words.peekable();
        if words.peek().is_none() {
            return Err(at(LineError::NoAddress(mac)));
        }
        let addresses = all.entry(mac).or_default();
        for word in words {
            let address: VmAddress = word.parse().map_err(|e: AddressError| at(e.into()))?;
            let address = Address::from(address.get());
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.len() as u64 > MAX_STATION_ADDRESSES {
            return Err(at(LineError::TooMany(mac)));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0, 0, 13]);

    #[test]
    fn lines_comments_and_a_mac_twice() {
        let text = "\
# VMs of the second rack
52:54:00:00:00:0d  10.0.0.13 fd00::13   # vm13

52:54:00:00:00:0d 10.0.0.14 10.0.0.13
02:00:00:00:00:01\t10.0.0.1
";
        let all = parse(text).expect("a file");
        let v4 = |last| Address::v4([10, 0, 0, last]);
        let v6: std::net::IpAddr = "fd00::13".parse().expect("an address");
        assert_eq!(all[&MAC], [v4(13), Address::from(v6), v4(14)]);
        assert_eq!(all.len(), 2);
        assert!(parse("").expect("nothing").is_empty());
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| {
            let (line, error) = parse(text).expect_err(text);
            format!("{line}: {error}")
        };
        assert!(error("\nvm13 10.0.0.13").starts_with("2: \"vm13\" is not an Ethernet address"));
        assert!(error("52:54:00:00:00:0d").contains("has no address"));
        assert!(error("52:54:00:00:00:0d 10.0.0").contains("is not an IPv4 or IPv6 address"));
        assert!(error("52:54:00:00:00:0d 127.0.0.1").contains("loopback"));
        assert!(error("01:00:5e:00:00:01 10.0.0.1").contains("not one station's"));
        let many: Vec<_> = (0..65).map(|n| format!("10.0.0.{n}")).collect();
        assert!(error(&format!("52:54:00:00:00:0d {}", many.join(" "))).contains("more than 64"));
        let missing = load(Path::new("/nowhere/addresses")).expect_err("no file");
        assert!(missing.to_string().contains("/nowhere/addresses"));
    }
}
