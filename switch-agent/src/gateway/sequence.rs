//! The sequence numbers of learning packets, which never go back.
//!
//! A switch refuses a number that it has seen, and one far behind the highest. So a gateway that
//! starts again must begin above all it ever sent, even when its state file is lost or its clock is
//! set back. It begins at the later of two: what the file says, which is written ahead a block at a
//! time, and the time since 1970 in microseconds, which no gateway's sending keeps up with. Only
//! where both fail does a signed packet count as replayed, until the clock is right again.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use thiserror::Error;

/// Where the files are, unless the operator says otherwise. It outlives a reboot.
pub const DIRECTORY: &str = "/var/lib/switch-agent";

/// Numbers that are written down before they are used.
const BLOCK: u64 = 4096;

/// The numbers of one gateway. While it is held no other gateway of this box can have the same id.
#[derive(Debug)]
pub struct Sequence {
    file: File,
    path: PathBuf,
    next: u64,
    /// The first number that is not written down as used.
    end: u64,
}

/// Why the numbers cannot be kept.
#[derive(Debug, Error)]
pub enum SequenceError {
    /// The file cannot be made, read or written.
    #[error(
        "cannot {verb} {}, which keeps the sequence numbers of learning packets: {source}; \
         --state-dir names another directory", path.display()
    )]
    File {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another gateway has the id.
    #[error(
        "another gateway on this box has the id {id} ({} is locked); give this one another --gateway-id",
        path.display()
    )]
    InUse {
        /// The id.
        id: u32,
        /// The file that it has locked.
        path: PathBuf,
    },
    /// Something else is in the file.
    #[error(
        "{} has no sequence number in it; if it is not somebody else's file, remove it: the numbers \
         then go on from the clock", .0.display()
    )]
    NotANumber(PathBuf),
}

impl Sequence {
    /// The numbers of the gateway with this id, above all that it ever used.
    ///
    /// # Errors
    /// They cannot be kept, or another gateway of this box has the id.
    pub fn open(directory: &Path, id: u32) -> Result<Self, SequenceError> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 says nothing.
        let clock_us = clock.map_or(0, |since| since.as_micros().try_into().unwrap_or(u64::MAX));
        Self::open_at(directory, id, clock_us)
    }

    fn open_at(directory: &Path, id: u32, clock_us: u64) -> Result<Self, SequenceError> {
        let path = directory.join(format!("gateway-{id}.sequence"));
        let failed = |verb| {
            let path = path.clone();
            move |source| SequenceError::File { verb, path, source }
        };
        fs::create_dir_all(directory).map_err(failed("make the directory of"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SequenceError::InUse { id, path }),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let mut text = String::new();
        (&mut file)
            .take(64)
            .read_to_string(&mut text)
            .map_err(failed("read"))?;
        let used = match text.trim() {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| SequenceError::NotANumber(path.clone()))?,
        };
        let next = u64::max(used, clock_us).max(1);
        let mut sequence = Self {
            file,
            path,
            next,
            end: next,
        };
        sequence.write_ahead()?;
        Ok(sequence)
    }

    /// The next number.
    ///
    /// # Errors
    /// It cannot be written down that it is used. It may be used all the same: should the gateway
    /// be killed, its clock still tells it to begin above.
    pub fn next(&mut self) -> (u64, Result<(), SequenceError>) {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let written = if number >= self.end {
            self.write_ahead()
        } else {
            Ok(())
        };
        (number, written)
    }

    fn write_ahead(&mut self) -> Result<(), SequenceError> {
        let end = self.next.saturating_add(BLOCK);
        // Always as long, so that one write replaces all of what was there.
        let text = format!("{end:020}\n");
        self.file
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| SequenceError::File {
                verb: "write",
                path: self.path.clone(),
                source,
            })?;
        self.end = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(sequence: &mut Sequence) -> u64 {
        let (number, written) = sequence.next();
        written.expect("written");
        number
    }

    #[test]
    fn numbers_never_go_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut highest = 0;
        // A clock that stands still, goes on, and is set back.
        for clock_us in [1_000, 1_000, 50_000, 7] {
            let mut sequence = Sequence::open_at(directory.path(), 7, clock_us).expect("numbers");
            for _ in 0..BLOCK + 10 {
                let number = take(&mut sequence);
                assert!(number > highest, "{number} after {highest}");
                assert!(number < sequence.end, "{number} is written down");
                highest = number;
            }
        }
    }

    #[test]
    fn the_clock_is_enough_where_the_file_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = take(&mut Sequence::open(directory.path(), 7).expect("numbers"));
        fs::remove_file(directory.path().join("gateway-7.sequence")).expect("removed");
        let second = take(&mut Sequence::open(directory.path(), 7).expect("numbers"));
        assert!(second > first);
    }

    #[test]
    fn one_gateway_has_an_id() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = Sequence::open(directory.path(), 7).expect("numbers");
        let error = Sequence::open(directory.path(), 7).expect_err("twice");
        assert!(matches!(error, SequenceError::InUse { id: 7, .. }));
        assert!(Sequence::open(directory.path(), 8).is_ok());
        drop(first);
        assert!(Sequence::open(directory.path(), 7).is_ok());
    }

    #[test]
    fn another_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("gateway-7.sequence");
        fs::write(&path, "something else").expect("written");
        let error = Sequence::open(directory.path(), 7).expect_err("no number");
        assert!(matches!(error, SequenceError::NotANumber(_)));
        assert_eq!(fs::read_to_string(&path).expect("read"), "something else");
        let error = Sequence::open(&path, 7).expect_err("no directory");
        assert!(error.to_string().contains("--state-dir"), "{error}");
    }
}
