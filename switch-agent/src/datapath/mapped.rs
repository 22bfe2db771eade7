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

    /// Writes one word of a value, seen by others no earlier than what was written before it.
    pub fn set_word(&mut self, index: u32, word: usize, value: u64) -> Result<(), MapError> {
        let words = self.element(index)?;
        debug_assert!(word < Self::WORDS);
        if let Some(word) = words.get(word) {
            word.store(value, Ordering::Release);
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

#[cfg(test)]
mod tests {
    use std::{ptr, thread};

    use aya::maps::{Array, IterableMap};
    use switch_ebpf::abi::Queued;

    use super::*;

    type Queues = Array<MapData, Queued>;

    /// `BPF_F_MMAPABLE` of linux/bpf.h.
    const MAPPABLE: u32 = 1 << 10;
    /// Elements over several pages, and part of one.
    const LENGTH: u32 = 1000;

    fn queues(flags: u32) -> Queues {
        Queues::create(LENGTH, flags).expect("a map; these tests need root")
    }

    fn queued(misses: u64, newcomers: u64) -> Queued {
        Queued { misses, newcomers }
    }

    #[test]
    fn it_is_the_map_that_others_see() {
        let mut map = queues(MAPPABLE);
        let mut mapped = Mapped::<Queued>::open(map.map()).expect("map it");
        for index in [0, 1, 255, 256, LENGTH - 1] {
            map.set(index, queued(index.into(), 7), 0).expect("set");
            assert_eq!(mapped.get(index).expect("get"), queued(index.into(), 7));
            let once_more = |old: Queued| queued(old.misses + 1, old.newcomers);
            mapped.change(index, once_more).expect("change");
            let seen = map.get(&index, 0).expect("get");
            assert_eq!(seen, queued(u64::from(index) + 1, 7));
        }
        assert_eq!(mapped.get(2).expect("get"), Queued::default());
    }

    #[test]
    fn there_is_nothing_behind_the_last_element() {
        let map = queues(MAPPABLE);
        let mut mapped = Mapped::<Queued>::open(map.map()).expect("map it");
        for index in [LENGTH, u32::MAX] {
            let outside = |error: MapError| matches!(error, MapError::OutOfBounds { index: at, max_entries: LENGTH } if at == index);
            assert!(mapped.get(index).is_err_and(outside));
            assert!(mapped.change(index, |old| old).is_err_and(outside));
        }
    }

    #[test]
    fn what_cannot_be_mapped_is_told() {
        let other = Array::<MapData, u64>::create(1, MAPPABLE).expect("a map");
        let error = Mapped::<Queued>::open(other.map()).err().expect("shorter");
        let sizes = matches!(
            error,
            MapError::InvalidValueSize {
                size: 8,
                expected: 16
            }
        );
        assert!(sizes, "{error}");
        let error = Mapped::<Queued>::open(queues(0).map()).err();
        let error = error.expect("not made for it");
        let call = matches!(&error, MapError::SyscallError(e) if e.call == "mmap");
        assert!(call, "{error}");
    }

    /// The mapping is its own: it needs neither the map's descriptor nor the thread that made it.
    #[test]
    fn it_outlives_what_it_was_made_from() {
        let map = queues(MAPPABLE);
        let mut mapped = Mapped::<Queued>::open(map.map()).expect("map it");
        let another = Mapped::<Queued>::open(map.map()).expect("map it twice");
        assert!(!ptr::eq(mapped.words.as_ptr(), another.words.as_ptr()));
        drop(map);
        let changed = thread::spawn(move || {
            let changed = mapped.change(3, |_| queued(1, 2));
            drop(mapped);
            changed
        });
        changed.join().expect("no panic").expect("change");
        assert_eq!(another.get(3).expect("get"), queued(1, 2));
    }
}
