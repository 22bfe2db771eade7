//! Signed learning packets, their sequence, and key files that are not used.

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::{Result, ensure};
use hmac::{Hmac, KeyInit, Mac as _};
use lab::{
    Agent, Lab,
    frame::{Arp, Ndp},
};
use sha2::Sha256;
use tempfile::TempDir;

use crate::{SOON, Site, VM_IPV4, VM_IPV6, VM_MAC, arguments, told::Told};

const TO: [&str; 4] = ["--announce-to", "224.0.0.1", "--announce-to", "ff02::1"];
const SECRET: &[u8] = b"a secret of gateways and switch";

/// A key file in a directory.
fn key_file(directory: &TempDir, content: &[u8], mode: u32) -> Result<String> {
    let path = directory.path().join("key");
    fs::write(&path, content)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(path.to_string_lossy().into_owned())
}

/// What a packet should be signed with, computed apart from the code that signs.
fn tag(told: &Told) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("a key");
    mac.update(&told.header);
    let address = match told.from {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        std::net::IpAddr::V6(v6) => v6,
    };
    mac.update(&address.octets());
    mac.finalize().into_bytes().into()
}

#[test]
fn each_packet_is_signed() -> Result<()> {
    let directory = TempDir::new()?;
    let key = key_file(&directory, &[SECRET, b"\n"].concat(), 0o600)?;
    let mut site = Site::start(&[&TO[..], &["--key-file", &key]].concat())?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    site.vm_sends(&Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame())?;
    for told in site.told(10)? {
        assert_eq!(told.flags, 1);
        assert_eq!(told.tag, tag(&told));
    }
    Ok(())
}

#[test]
fn the_sequence_goes_on_after_a_kill() -> Result<()> {
    let mut site = Site::start(&TO)?;
    site.vm_sends(&Arp::announcement(VM_MAC, VM_IPV4).frame())?;
    let before = site.told(5)?;
    // The clock is set back, as far as the gateway can tell: only the file knows what it sent.
    let file = site
        .state
        .path()
        .join(format!("gateway-{}.sequence", crate::ID));
    let ahead: u64 = fs::read_to_string(&file)?.trim().parse()?;
    ensure!(ahead > before[4].sequence, "numbers are written down ahead");
    let far = u64::MAX / 2;
    fs::write(&file, format!("{far:020}\n"))?;
    site = site.restart_after_kill(&TO)?;
    site.vm_sends(&Ndp::unsolicited(VM_MAC, VM_IPV6, true).frame())?;
    let after = site.told(5)?;
    assert_eq!(after[0].sequence, far);
    Ok(())
}

#[test]
fn a_key_that_is_none_is_refused() -> Result<()> {
    let lab = Lab::fig1()?;
    lab.open_gateway(0)?;
    let (state, directory) = (TempDir::new()?, TempDir::new()?);
    let none = directory.path().join("none").to_string_lossy().into_owned();
    let refused = |key: &str, why: &str| -> Result<()> {
        let options = [&TO[..], &["--key-file", key]].concat();
        let arguments = arguments(&state, &options);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut gateway = Agent::start(&lab.dc[0].ns, &arguments)?;
        let status = gateway.wait_exit(SOON)?;
        assert_eq!(status.code(), Some(1), "{}", gateway.stderr());
        ensure!(gateway.stderr().contains(why), "{}", gateway.stderr());
        ensure!(gateway.stderr().contains(key), "{}", gateway.stderr());
        assert_eq!(lab.dc[0].ns.link("lan")?.xdp, None, "nothing was changed");
        Ok(())
    };
    refused(&none, "there is no key file")?;
    refused(&key_file(&directory, b"", 0o600)?, "is empty")?;
    refused(&key_file(&directory, b"short\n", 0o600)?, "has 5 bytes")?;
    refused(&key_file(&directory, SECRET, 0o644)?, "run `chmod 600 ")?;
    refused("/proc", "is not a regular file")
}
