//! Sends [stamped frames](bench_ebpf::stamped), and notes when they arrive.

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_TX},
    helpers::bpf_ktime_get_ns,
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use bench_ebpf::{
    address, checksum,
    stamped::{Arrival, DOWN, NUMBERS, PACKET, PORT, Sender, TAGGED, UNTAGGED, UP},
};

/// What is sent down, and up.
#[map]
static SENDERS: Array<Sender> = Array::with_max_entries(2, 0);
/// What has arrived at the client, by number.
#[map]
static ARRIVED_DOWN: Array<Arrival> = Array::with_max_entries(NUMBERS, 0);
/// What has arrived at the sites, by number.
#[map]
static ARRIVED_UP: Array<Arrival> = Array::with_max_entries(NUMBERS, 0);
/// How many stamped frames have arrived, down and up.
#[map]
static STAMPED: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

const IPV4: [u8; 2] = [0x08, 0x00];
const VLAN: [u8; 2] = [0x81, 0x00];

/// Behind the Ethernet header.
const CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;
const UDP_PORT: usize = 22;
const NUMBER: usize = 28;
const TIME: usize = 36;

/// Sends what a VM sends, with a site's tag, into the cable of the device that it is run for.
#[xdp]
pub fn from_vm(ctx: XdpContext) -> u32 {
    if !is_due() {
        return XDP_DROP;
    }
    match write::<TAGGED>(&ctx, DOWN, SOURCE, 6) {
        Some(()) => XDP_TX,
        None => XDP_ABORTED,
    }
}

/// Sends what a client sends to a VM.
#[xdp]
pub fn to_vm(ctx: XdpContext) -> u32 {
    match write::<UNTAGGED>(&ctx, UP, DESTINATION, 0) {
        Some(()) => XDP_TX,
        None => XDP_ABORTED,
    }
}

/// What could not be sent for so long, because the kernel ran nothing, is not made up for.
const MADE_UP_NS: u64 = 1_000_000;

/// Whether the next frame of a VM is due.
#[inline(always)]
fn is_due() -> bool {
    let Some(sender) = SENDERS.get_ptr_mut(DOWN) else {
        return false;
    };
    // SAFETY: as in `write`.
    let sender = unsafe { &mut *sender };
    if sender.interval_ns == 0 {
        return true;
    }
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    if now_ns < sender.due_ns {
        return false;
    }
    sender.due_ns += sender.interval_ns;
    if now_ns.saturating_sub(sender.due_ns) > MADE_UP_NS {
        sender.due_ns = now_ns;
    }
    true
}

/// Writes a frame's headers, which the switch may have changed the last time, and what is the VM's own.
/// Its address is at `ip` of the IPv4 header, its MAC at `mac` of the frame.
#[inline(always)]
fn write<const HEADER: usize>(ctx: &XdpContext, way: u32, ip: usize, mac: usize) -> Option<()> {
    let sender = SENDERS.get_ptr_mut(way)?;
    // SAFETY: one run at a time writes it, and the benchmark only between runs.
    let Sender {
        header,
        sum,
        next,
        first,
        count,
        ..
    } = unsafe { *sender };
    // SAFETY: as above.
    unsafe { (*sender).next = next.wrapping_add(1) };
    let number = first.wrapping_add(if count == 0 { 0 } else { next % count });
    let low = address(number);
    let [_, a, b, c] = low.to_be_bytes();
    put(ctx, 0, header[..HEADER].first_chunk::<HEADER>()?)?;
    put(ctx, mac + 3, &[a, b, c])?;
    put(ctx, HEADER + ip + 1, &[a, b, c])?;
    put(ctx, HEADER + CHECKSUM, &checksum(sum.into(), low))?;
    put(ctx, HEADER + NUMBER, &number.to_ne_bytes())?;
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    put(ctx, HEADER + TIME, &now_ns.to_ne_bytes())
}

/// Notes what has come down to the client, and drops it.
#[xdp(frags)]
pub fn down(ctx: XdpContext) -> u32 {
    // What is none of these frames is dropped like them.
    let _ = note::<UNTAGGED>(&ctx, &ARRIVED_DOWN, DOWN, IPV4);
    XDP_DROP
}

/// Notes what has come up to the sites, and drops it.
#[xdp(frags)]
pub fn up(ctx: XdpContext) -> u32 {
    let _ = note::<TAGGED>(&ctx, &ARRIVED_UP, UP, VLAN);
    XDP_DROP
}

/// Nothing where the frame is none of these: its first ethertype is to be `ethertype`.
#[inline(always)]
fn note<const HEADER: usize>(
    ctx: &XdpContext,
    arrivals: &Array<Arrival>,
    way: u32,
    ethertype: [u8; 2],
) -> Option<()> {
    // SAFETY: a helper without arguments.
    let arrived_ns = unsafe { bpf_ktime_get_ns() };
    if get::<2>(ctx, UNTAGGED - 2)? != ethertype
        || get::<2>(ctx, HEADER + UDP_PORT)? != PORT.to_be_bytes()
    {
        return None;
    }
    let number = u32::from_ne_bytes(get::<4>(ctx, HEADER + NUMBER)?);
    let sent_ns = u64::from_ne_bytes(get::<8>(ctx, HEADER + TIME)?);
    let tci = u16::from_be_bytes(get::<2>(ctx, UNTAGGED)?);
    let arrival = arrivals.get_ptr_mut(number)?;
    // SAFETY: an element of an array; two CPUs that have the same number both have its first arrival.
    unsafe {
        if (*arrival).arrived_ns == 0 {
            *arrival = Arrival {
                sent_ns,
                arrived_ns,
                tci: tci.into(),
            };
        }
    }
    let stamped = STAMPED.get_ptr_mut(way)?;
    // SAFETY: this CPU's element, and XDP programs of one CPU do not interrupt each other.
    unsafe { *stamped += 1 };
    Some(())
}

#[inline(always)]
fn get<const N: usize>(ctx: &XdpContext, at: usize) -> Option<[u8; N]> {
    let start = ctx.data() + at;
    if start + N > ctx.data_end() {
        return None;
    }
    // SAFETY: the bounds were checked, and bytes need no alignment.
    Some(unsafe { *(start as *const [u8; N]) })
}

#[inline(always)]
fn put<const N: usize>(ctx: &XdpContext, at: usize, bytes: &[u8; N]) -> Option<()> {
    let start = ctx.data() + at;
    if start + N > ctx.data_end() {
        return None;
    }
    // SAFETY: as in `get`.
    unsafe { *(start as *mut [u8; N]) = *bytes };
    Some(())
}

// The offsets above and the sizes that the benchmark makes its frames with are the same ones.
const _: () = assert!(TIME + 8 + 2 == PACKET);
