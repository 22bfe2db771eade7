//! The datapath's side of [shortcuts](switch_ebpf::abi::shortcut).

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE, helpers::bpf_get_smp_processor_id, macros::map, maps::Array,
};
use switch_ebpf::{
    abi::{
        BindingKey, Cpu,
        shortcut::{Line, Owner, Seed, Shortcut, ShortcutTraffic, Sought, WAYS, neighbour, place},
    },
    xdp::{Shared, count::add},
};

use crate::count;

// How many of each there are the agent says when it makes them.
#[map]
static SHORTCUTS: Array<Line> = Array::pinned(1, BPF_F_MMAPABLE);
#[map]
static SHORTCUT_OWNERS: Array<Owner> = Array::pinned(1, BPF_F_MMAPABLE);
#[map]
static SHORTCUT_TRAFFIC: Array<ShortcutTraffic> = Array::pinned(1, BPF_F_MMAPABLE);

// Constants, which the agent writes here before the program is loaded.
#[unsafe(no_mangle)]
static LINES: u32 = 0;
#[unsafe(no_mangle)]
static SEED: Seed = [0; 6];

/// A shortcut that is open.
pub struct Open {
    /// The site that the address is at.
    pub site: u32,
    place: u32,
    traffic: *mut ShortcutTraffic,
}

/// How many lines of shortcuts there are.
#[inline(always)]
fn lines() -> u32 {
    // SAFETY: a constant, which the compiler must not take for the zero that stands here.
    unsafe { (&raw const LINES).read_volatile() }
}

#[inline(always)]
fn sought(key: &BindingKey) -> Sought {
    // SAFETY: as above.
    let seed = unsafe { (&raw const SEED).read_volatile() };
    Sought::new(key, &seed, lines())
}

/// The shortcuts of a line.
#[inline(always)]
fn line(line: u32) -> Option<*mut Shortcut> {
    Some(SHORTCUTS.get_ptr_mut(line)?.cast())
}

/// The shortcut of an address, if it is open.
#[inline(always)]
pub fn find(key: &BindingKey, cpu: *mut Cpu) -> Option<Open> {
    let sought = sought(key);
    // Nearly all have the first of these. The line of its counters is asked for at once: the processor would
    // come to it only after the frame was changed, and no cache may hold either.
    let first = place(sought.line, sought.way);
    let counters = traffic(first)?;
    // SAFETY: what `traffic` points to is an element of the map.
    unsafe { (&raw const (*counters).up_packets).read_volatile() };
    if let Some(site) = site_of(line(sought.line)?, sought.way, &sought)
        && is_whole(first, key)
    {
        return Some(Open {
            site,
            place: first,
            traffic: counters,
        });
    }
    find_elsewhere(key, cpu);
    // SAFETY: `cpu` points to this CPU's element.
    let elsewhere = unsafe { (&raw const (*cpu).elsewhere).read_volatile() };
    if elsewhere == 0 {
        return None;
    }
    let place = (elsewhere >> u16::BITS) as u32;
    Some(Open {
        site: u32::from(elsewhere as u16),
        place,
        traffic: traffic(place)?,
    })
}

/// Looks for the shortcut of an address where it is if another one has its place: see [`Cpu::elsewhere`].
///
/// A function of its own, and its answer in a map, of which the verifier knows nothing: with each place that it
/// knew it would follow all that comes after once more.
#[inline(never)]
fn find_elsewhere(key: &BindingKey, cpu: *mut Cpu) {
    let sought = sought(key);
    let found = find_in(sought.line, &sought, key)
        .or_else(|| find_in(neighbour(sought.line), &sought, key))
        .unwrap_or(0);
    // SAFETY: `cpu` points to this CPU's element.
    unsafe { (&raw mut (*cpu).elsewhere).write_volatile(found) };
}

/// The place of the shortcut and the site behind it, if it is in this line.
#[inline(always)]
fn find_in(number: u32, sought: &Sought, key: &BindingKey) -> Option<u64> {
    const FOUND: u64 = 1 << 63;
    let line = line(number)?;
    (0..WAYS).find_map(|way| {
        let site = site_of(line, way, sought)?;
        let place = place(number, way);
        let found = FOUND | u64::from(place) << u16::BITS | u64::from(site);
        is_whole(place, key).then_some(found)
    })
}

/// Where a shortcut of a line leads, if it may be the one that is sought.
#[inline(always)]
fn site_of(line: *const Shortcut, way: usize, sought: &Sought) -> Option<u32> {
    // SAFETY: a line has so many.
    unsafe { line.add(way).read_volatile() }.leads(sought)
}

/// This CPU's counters of a place.
#[inline(always)]
fn traffic(place: u32) -> Option<*mut ShortcutTraffic> {
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    SHORTCUT_TRAFFIC.get_ptr_mut(cpu * lines() * WAYS as u32 + place)
}

/// Whose a place is.
#[inline(always)]
fn owner(place: u32) -> Option<*mut Owner> {
    SHORTCUT_OWNERS.get_ptr_mut(place)
}

/// Whether a shortcut that seems to be an address's is: for IPv6 the whole address is the owner's.
#[inline(always)]
fn is_whole(place: u32, key: &BindingKey) -> bool {
    if key.address.is_v4() {
        return true;
    }
    let Some(owner) = owner(place) else {
        return false;
    };
    // SAFETY: `owner` points to an element of the map, whose words are written as such.
    let address = unsafe { (&raw const (*owner).address).read_volatile() };
    address == key.address.halves()
}

/// Closes the shortcut of an address. The binding has been written before.
///
/// A function of its own: what comes after it the verifier has to follow once.
#[inline(never)]
pub fn close(key: &BindingKey) {
    let sought = sought(key);
    close_in(sought.line, &sought, key);
    close_in(neighbour(sought.line), &sought, key);
}

#[inline(always)]
fn close_in(number: u32, sought: &Sought, key: &BindingKey) {
    let Some(line) = line(number) else {
        return;
    };
    for way in 0..WAYS {
        // SAFETY: a line has so many, each an aligned `u64` in an element of an array map, which both sides
        // write atomically.
        let shortcut = unsafe { Shared::new(line.add(way).cast()) };
        // Not a mere load: this comes after the binding was written, on every machine. What is opened
        // later than this the agent compares with that.
        let before = shortcut.keep(u64::MAX);
        if Shortcut(before).leads(sought).is_some() && is_whole(place(number, way), key) {
            shortcut.keep(Shortcut::CLOSED);
        }
    }
}

impl Open {
    /// A frame leaves for the VM.
    #[inline(always)]
    pub fn count_up(&self, length: usize) {
        // SAFETY: `traffic` points to this CPU's element.
        unsafe {
            add(&raw mut (*self.traffic).up_packets, 1);
            add(&raw mut (*self.traffic).up_bytes, length as u64);
        }
    }

    /// A frame leaves from the VM.
    #[inline(always)]
    pub fn count_down(&self, cpu: *mut Cpu, length: usize) {
        // SAFETY: as above.
        unsafe {
            add(&raw mut (*self.traffic).down_packets, 1);
            add(&raw mut (*self.traffic).down_bytes, length as u64);
        }
        let Some(owner) = owner(self.place) else {
            return; // Cannot be: there are as many as places.
        };
        let now_ns = count::coarse_ns(cpu);
        // SAFETY: `owner` points to an element of a map. The time is written once a tick only: all CPUs read
        // that line.
        unsafe {
            let heard = &raw mut (*owner).down_last_ns;
            if heard.read_volatile() != now_ns {
                heard.write_volatile(now_ns);
            }
        }
    }
}
