//! The archive format `newc` (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// What a path of the archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File { mode: u32, contents: Vec<u8> },
    Symlink(String),
    Character { major: u32, minor: u32 },
}

/// The archive's end is an entry of this name.
const END: &str = "TRAILER!!!";

/// Names, contents and headers begin at multiples of this many bytes.
const ALIGN: usize = 4;

/// All files, each owned by root and of the year 1970, so that the same files make the same archive.
///
/// # Errors
/// When a file is larger than the format's 32 bits can say.
pub(super) fn archive(files: &BTreeMap<String, Kind>) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (number, (path, kind)) in (1..).zip(files) {
        let (mode, device, contents) = match kind {
            Kind::Directory => (0o040_755, (0, 0), [].as_slice()),
            Kind::File { mode, contents } => (0o100_000 | mode, (0, 0), contents.as_slice()),
            Kind::Symlink(target) => (0o120_777, (0, 0), target.as_bytes()),
            Kind::Character { major, minor } => (0o020_600, (*major, *minor), [].as_slice()),
        };
        append(&mut archive, number, path, mode, device, contents)
            .with_context(|| format!("put {path} into the initramfs"))?;
    }
    append(&mut archive, 0, END, 0, (0, 0), &[])?;
    Ok(archive)
}

fn append(
    archive: &mut Vec<u8>,
    inode: u32,
    path: &str,
    mode: u32,
    (major, minor): (u32, u32),
    contents: &[u8],
) -> Result<()> {
    let size = u32::try_from(contents.len()).context("it is larger than 4 GiB")?;
    let name_size = u32::try_from(path.len() + 1).context("its name is too long")?;
    let (owner, group, links, time, own_device, check) = (0, 0, 1, 0, (0, 0), 0);
    let fields = [
        inode,
        mode,
        owner,
        group,
        links,
        time,
        size,
        own_device.0,
        own_device.1,
        major,
        minor,
        name_size,
        check,
    ];
    archive.extend(b"070701");
    for field in fields {
        archive.extend(format!("{field:08x}").into_bytes());
    }
    archive.extend(path.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend(contents);
    pad(archive);
    Ok(())
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(ALIGN), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_where_the_kernel_expects_it() -> Result<()> {
        let file = Kind::File {
            mode: 0o755,
            contents: b"hello".to_vec(),
        };
        let console = Kind::Character { major: 5, minor: 1 };
        let files = [("console", console), ("init", file)]
            .map(|(path, kind)| (path.to_owned(), kind))
            .into();
        let expected = concat!(
            "070701",
            "00000001",
            "00002180",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000005",
            "00000001",
            "00000008",
            "00000000",
            "console\0",
            "\0\0",
            "070701",
            "00000002",
            "000081ed",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000005",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000005",
            "00000000",
            "init\0",
            "\0",
            "hello",
            "\0\0\0",
            "070701",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "0000000b",
            "00000000",
            "TRAILER!!!\0",
            "\0\0\0",
        );
        assert_eq!(String::from_utf8(archive(&files)?)?, expected);
        Ok(())
    }
}
