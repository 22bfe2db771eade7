//! Array maps in this process's memory (`BPF_F_MMAPABLE`, Linux 5.5): what is read or counted with each
//! frame costs no system call.

use std::{
    ffi::c_void,
    io,
    marker::PhantomData,
    num::NonZeroUsize,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::{
    maps::{MapData, MapError},
    sys::SyscallError,
};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use zerocopy::{FromBytes, Immutable, IntoBytes};

const WORD: usize = size_of::<AtomicU64>();

/// An array of values made of 64-bit words. Each word is read and written at once, a value word by word.
pub struct Mapped<V> {
    words: NonNull<AtomicU64>,
    bytes: NonZeroUsize,
    length: u32,
    values: PhantomData<V>,
}

// SAFETY: the memory belongs to no thread, and is accessed by atomic words only.
unsafe impl<V> Send for Mapped<V> {}
// SAFETY: as above.
unsafe impl<V> Sync for Mapped<V> {}

impl<V: FromBytes + IntoBytes + Immutable> Mapped<V> {
    const WORDS: usize = {
        assert!(size_of::<V>() > 0 && size_of::<V>().is_multiple_of(WORD));
        size_of::<V>() / WORD
    };

    /// How many values there are.
    pub fn len(&self) -> u32 {
        self.length
    }

    /// The value of an index.
    pub fn get(&self, index: u32) -> Result<V, MapError> {
        let mut value = V::new_zeroed();
        let words = value.as_mut_bytes().chunks_exact_mut(WORD);
        for (bytes, word) in words.zip(self.element(index)?) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        Ok(value)
    }

    /// Changes a value that nobody else writes.
    pub fn change(&mut self, index: u32, change: impl FnOnce(V) -> V) -> Result<(), MapError> {
        let value = change(self.get(index)?);
        let words = value.as_bytes().as_chunks::<WORD>().0;
        for (bytes, word) in words.iter().zip(self.element(index)?) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        Ok(())
    }

    fn element(&self, index: u32) -> Result<&[AtomicU64], MapError> {
        let max_entries = self.length;
        if index >= max_entries {
            return Err(MapError::OutOfBounds { index, max_entries });
        }
        let start = index as usize * Self::WORDS;
        // SAFETY: `open` has mapped so many words for each of `length` elements, until the drop.
        Ok(unsafe { std::slice::from_raw_parts(self.words.as_ptr().add(start), Self::WORDS) })
    }

    /// Maps an array that was made for it.
    pub fn open(map: &MapData) -> Result<Self, MapError> {
        let info = map.info()?;
        let (size, expected) = (info.value_size() as usize, Self::WORDS * WORD);
        if size != expected {
            return Err(MapError::InvalidValueSize { size, expected });
        }
        let length = info.max_entries();
        let failed = |io_error: io::Error| SyscallError {
            call: "mmap",
            io_error,
        };
        let bytes = NonZeroUsize::new(length as usize * expected);
        let bytes = bytes.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses a place where nothing is, and the map is as long: an array's
        // elements follow each other, each rounded up to words (`array_map_mmap`, kernel/bpf/arraymap.c).
        let start = unsafe { mmap(None, bytes, protection, MapFlags::MAP_SHARED, map.fd(), 0) };
        Ok(Self {
            words: start.map_err(|errno| failed(errno.into()))?.cast(),
            bytes,
            length,
            values: PhantomData,
        })
    }
}

impl<V> Drop for Mapped<V> {
    fn drop(&mut self) {
        let start: NonNull<c_void> = self.words.cast();
        // It fails for addresses that were never mapped only.
        // SAFETY: the mapping is this value's own, and no slice of it outlives this.
        let _ = unsafe { munmap(start, self.bytes.get()) };
    }
}
