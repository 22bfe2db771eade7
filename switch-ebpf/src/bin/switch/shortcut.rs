//! The datapath's side of [shortcuts](switch_ebpf::abi::shortcut).

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE, helpers::bpf_get_smp_processor_id, macros::map, maps::Array,
};
use switch_ebpf::{
    abi::{
        BindingKey, Cpu,
        shortcut::{self, Bucket, BucketTraffic, OPEN, Seed, Shortcut, ShortcutTraffic, WAYS},
    },
    xdp::{Shared, count::add},
};

use crate::count;

// How many of each there are the agent says when it makes them.
#[map]
static SHORTCUTS: Array<Bucket> = Array::pinned(1, BPF_F_MMAPABLE);
#[map]
static SHORTCUT_TRAFFIC: Array<BucketTraffic> = Array::pinned(1, BPF_F_MMAPABLE);

// Constants, which the agent writes here before the program is loaded.
#[unsafe(no_mangle)]
static BUCKET_BITS: u32 = 0;
#[unsafe(no_mangle)]
static SEED: Seed = [0; 6];

/// A shortcut that is open.
pub struct Open {
    /// The site that the address is at.
    pub site: u32,
    shortcut: *mut Shortcut,
    traffic: *mut ShortcutTraffic,
}

/// The binary logarithm of the number of buckets.
#[inline(always)]
fn bits() -> u32 {
    // SAFETY: a constant, which the compiler must not take for the zero that stands here.
    unsafe { (&raw const BUCKET_BITS).read_volatile() }
}

#[inline(always)]
fn bucket(key: &BindingKey) -> u32 {
    // SAFETY: as above.
    let seed = unsafe { (&raw const SEED).read_volatile() };
    shortcut::bucket(key, &seed, bits())
}

/// The shortcut of an address, if it is open.
#[inline(always)]
pub fn find(key: &BindingKey) -> Option<Open> {
    let bucket = bucket(key);
    let traffic = traffic_of(bucket)?;
    // Both lines are asked for at once. The processor would come to this one only after the frame was
    // changed, and no cache may hold either.
    // SAFETY: `traffic` points to an element of the map.
    unsafe { (&raw const (*traffic).up_packets).read_volatile() };
    if let Some(open) = find_in(bucket, traffic, key) {
        return Some(open);
    }
    let bucket = shortcut::neighbour(bucket);
    let traffic = traffic_of(bucket)?;
    find_in(bucket, traffic, key)
}

/// This CPU's counters of a bucket.
#[inline(always)]
fn traffic_of(bucket: u32) -> Option<*mut ShortcutTraffic> {
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let traffic = SHORTCUT_TRAFFIC.get_ptr_mut((cpu << bits()) + bucket)?;
    Some(traffic.cast())
}

/// The same, if it is in this bucket.
#[inline(always)]
fn find_in(bucket: u32, traffic: *mut ShortcutTraffic, key: &BindingKey) -> Option<Open> {
    let shortcut: *mut Shortcut = SHORTCUTS.get_ptr_mut(bucket)?.cast();
    if let Some(site) = site_of(shortcut, key) {
        return Some(Open {
            site,
            shortcut,
            traffic,
        });
    }
    // SAFETY: there are two to a bucket.
    let (shortcut, traffic) = unsafe { (shortcut.add(1), traffic.add(1)) };
    let site = site_of(shortcut, key)?;
    Some(Open {
        site,
        shortcut,
        traffic,
    })
}

/// The site that a shortcut leads to, if it is this address's and open. Each word is read once.
#[inline(always)]
fn site_of(shortcut: *const Shortcut, key: &BindingKey) -> Option<u32> {
    let [high, low] = key.address.halves();
    // SAFETY: `shortcut` points into an element of the map, whose words are written as such.
    let (address, place) = unsafe {
        (
            (&raw const (*shortcut).address).read_volatile(),
            (&raw const (*shortcut).place).read_volatile(),
        )
    };
    if address[1] != low || address[0] != high {
        return None;
    }
    Shortcut::open(place, key.network)
}

/// Closes the shortcut of an address. The binding has been written before.
#[inline(always)]
pub fn close(key: &BindingKey) {
    let bucket = bucket(key);
    close_in(bucket, key);
    close_in(shortcut::neighbour(bucket), key);
}

#[inline(always)]
fn close_in(bucket: u32, key: &BindingKey) {
    let Some(bucket) = SHORTCUTS.get_ptr_mut(bucket) else {
        return;
    };
    for way in 0..WAYS {
        // SAFETY: the bucket has so many.
        let shortcut: *mut Shortcut = unsafe { bucket.cast::<Shortcut>().add(way) };
        // SAFETY: an aligned `u64` in an element of an array map, which both sides write atomically.
        let place = unsafe { Shared::new(&raw mut (*shortcut).place) };
        // Not a mere load: this comes after the binding was written, on every machine. What is opened
        // later than this the agent compares with that.
        let before = place.keep(u64::MAX);
        if Shortcut::open(before, key.network).is_some() && site_of(shortcut, key).is_some() {
            place.keep(!OPEN);
        }
    }
}

impl Open {
    /// A frame leaves for the VM.
    #[inline(always)]
    pub fn count_up(&self, length: usize) {
        // SAFETY: `traffic` points into this CPU's element.
        unsafe {
            add(&raw mut (*self.traffic).up_packets, 1);
            add(&raw mut (*self.traffic).up_bytes, length as u64);
        }
    }

    /// A frame leaves from the VM.
    #[inline(always)]
    pub fn count_down(&self, cpu: *mut Cpu, length: usize) {
        let now_ns = count::coarse_ns(cpu);
        // SAFETY: as above; and `shortcut` points into an element of a map. The time is written once a tick
        // only: all CPUs read that line.
        unsafe {
            add(&raw mut (*self.traffic).down_packets, 1);
            add(&raw mut (*self.traffic).down_bytes, length as u64);
            let heard = &raw mut (*self.shortcut).down_last_ns;
            if heard.read_volatile() != now_ns {
                heard.write_volatile(now_ns);
            }
        }
    }
}
