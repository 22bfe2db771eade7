//! Reading a hash map many elements at a time: `BPF_MAP_LOOKUP_BATCH` of bpf(2), Linux 5.6. Element by
//! element, the bindings of a large site take seconds.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use aya::{
    Pod,
    maps::{HashMap, IterableMap, MapData, MapError},
    sys::SyscallError,
};

use super::bpf::bpf;

/// Elements in one call at first.
const AT_ONCE: usize = 4096;

/// `BPF_MAP_LOOKUP_BATCH` of `enum bpf_cmd` in linux/bpf.h.
const LOOKUP_BATCH: libc::c_long = 24;

/// The part of `union bpf_attr` for `BPF_MAP_*_BATCH`.
#[repr(C)]
struct Request {
    from: u64,
    to: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// The elements of a hash map, in no order. What is replaced meanwhile comes once; what is added or
/// removed may come or not.
pub struct Batches<'a, K, V> {
    map: &'a MapData,
    /// The bucket that comes next, as the kernel told it; nothing before the first call.
    bucket: Option<u32>,
    is_over: bool,
    /// Elements in one call at least. A bucket of the map has to fit.
    at_once: usize,
    keys: Vec<K>,
    values: Vec<V>,
    /// What has been read and not been given out.
    rest: std::vec::IntoIter<(K, V)>,
}

/// The elements of a hash map.
pub fn elements<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>) -> Batches<'_, K, V> {
    elements_in(map, AT_ONCE)
}

fn elements_in<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>, at_once: usize) -> Batches<'_, K, V> {
    Batches {
        map: map.map(),
        bucket: None,
        is_over: false,
        at_once,
        keys: Vec::new(),
        values: Vec::new(),
        rest: Vec::new().into_iter(),
    }
}

impl<K: Pod, V: Pod> Batches<'_, K, V> {
    /// Reads the next elements, if there are any.
    fn read(&mut self) -> Result<(), SyscallError> {
        let mut room = self.keys.capacity().max(self.at_once);
        loop {
            self.keys.reserve(room);
            self.values.reserve(room);
            match self.call(room) {
                // The next bucket alone is larger.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => room *= 2,
                Err(io_error) => {
                    let call = "bpf_map_lookup_batch";
                    return Err(SyscallError { call, io_error });
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// One call, with room for so many elements in both vectors, which are empty.
    fn call(&mut self, room: usize) -> io::Result<()> {
        let mut next = 0_u32;
        let from = self.bucket.as_ref().map_or(0, |at| at as *const u32 as u64);
        let mut request = Request {
            from,
            to: (&raw mut next) as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: u32::try_from(room).unwrap_or(u32::MAX),
            map: self.map.fd().as_fd().as_raw_fd().cast_unsigned(),
            element_flags: 0,
            flags: 0,
        };
        // SAFETY: the request is the command's. The kernel writes at most `count` keys and values of the
        // map's sizes, which a `HashMap` has found to be those of `K` and `V`, into room that was reserved
        // for as many, and a hash map's bucket number to `to`.
        match unsafe { bpf(LOOKUP_BATCH, &mut request) } {
            Ok(_) => {}
            // These are the last ones.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.is_over = true,
            Err(error) => return Err(error),
        }
        self.bucket = Some(next);
        let read = (request.count as usize).min(room);
        // SAFETY: the kernel has written so many, and any bytes are a valid `Pod`.
        unsafe {
            self.keys.set_len(read);
            self.values.set_len(read);
        }
        let read: Vec<_> = self.keys.drain(..).zip(self.values.drain(..)).collect();
        self.rest = read.into_iter();
        Ok(())
    }
}

impl<K: Pod, V: Pod> Iterator for Batches<'_, K, V> {
    type Item = Result<(K, V), MapError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(element) = self.rest.next() {
                return Some(Ok(element));
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.read() {
                self.is_over = true;
                return Some(Err(error.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aya::maps::Map;

    use super::*;

    type Squares = HashMap<MapData, u32, [u64; 3]>;

    /// `BPF_F_WRONLY` of linux/bpf.h.
    const WRITE_ONLY: u32 = 1 << 4;

    fn square(of: u32) -> [u64; 3] {
        [u64::from(of).pow(2), 0, of.into()]
    }

    fn squares(count: u32) -> Squares {
        let mut map = Squares::create(count.max(1), 0).expect("a map; these tests need root");
        for of in 0..count {
            map.insert(of, square(of), 0).expect("insert");
        }
        map
    }

    /// Each came once, with its own value.
    fn check(read: &[(u32, [u64; 3])], count: u32) {
        let expected: BTreeMap<_, _> = (0..count).map(|of| (of, square(of))).collect();
        assert_eq!(read.len(), expected.len());
        assert_eq!(read.iter().copied().collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn every_element_comes_once_however_many_there_are() {
        let calls = AT_ONCE as u32;
        for count in [0, 1, 5, calls - 1, calls, calls + 1, 3 * calls] {
            let map = squares(count);
            let read: Result<Vec<_>, _> = elements(&map).collect();
            check(&read.expect("read"), count);
        }
    }

    /// Most buckets have no more than one element, and some have several.
    #[test]
    fn a_bucket_that_does_not_fit_is_asked_for_again() {
        let map = squares(10_000);
        let read: Result<Vec<_>, _> = elements_in(&map, 1).collect();
        check(&read.expect("read"), 10_000);
    }

    #[test]
    fn what_is_replaced_meanwhile_comes_once() {
        let map = squares(1000);
        let fd = map.map().fd().as_fd().try_clone_to_owned().expect("dup");
        let map_data = MapData::from_fd(fd).expect("the same map");
        let mut same = Squares::try_from(Map::HashMap(map_data)).expect("the same map");
        let mut read = Vec::new();
        for element in elements_in(&map, 8) {
            let (of, value) = element.expect("read");
            read.push((of, value));
            for of in [of, 999 - of] {
                same.insert(of, square(of), 0).expect("replace");
            }
        }
        check(&read, 1000);
    }

    #[test]
    fn a_map_that_cannot_be_read_is_told_once() {
        let map = Squares::create(8, WRITE_ONLY).expect("a map");
        let mut elements = elements(&map);
        let error = elements.next().expect("an answer").expect_err("no reading");
        assert!(
            matches!(&error, MapError::SyscallError(e) if e.call == "bpf_map_lookup_batch"),
            "{error}"
        );
        assert!(elements.next().is_none());
    }
}
