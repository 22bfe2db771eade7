//! Sends [stamped frames](bench_ebpf::stamped), and notes when they arrive.

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP},
    helpers::{bpf_ktime_get_ns, bpf_redirect},
    macros::{map, xdp},
    maps::{Array, PerCpuArray},
    programs::XdpContext,
};
use bench_ebpf::{
    address,
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

/// Sends what a VM sends, with a site's tag.
#[xdp]
pub fn from_vm(ctx: XdpContext) -> u32 {
    send::<TAGGED>(&ctx, DOWN, SOURCE, 6).unwrap_or(XDP_ABORTED)
}

/// Sends what a client sends to a VM.
#[xdp]
pub fn to_vm(ctx: XdpContext) -> u32 {
    send::<UNTAGGED>(&ctx, UP, DESTINATION, 0).unwrap_or(XDP_ABORTED)
}

/// Writes a frame's headers, which the switch may have changed the last time, and what is the VM's own.
/// Its address is at `ip` of the IPv4 header, its MAC at `mac` of the frame.
#[inline(always)]
fn send<const HEADER: usize>(ctx: &XdpContext, way: u32, ip: usize, mac: usize) -> Option<u32> {
    let sender = SENDERS.get_ptr_mut(way)?;
    // SAFETY: one run at a time writes it, and the benchmark only between runs.
    let Sender {
        header,
        sum,
        output,
        next,
        first,
        count,
    } = unsafe { *sender };
    // SAFETY: as above.
    unsafe { (*sender).next = next.wrapping_add(1) };
    let number = first.wrapping_add(if count == 0 { 0 } else { next % count });
    let [_, a, b, c] = address(number).to_be_bytes();
    put(ctx, 0, header[..HEADER].first_chunk::<HEADER>()?)?;
    put(ctx, mac + 3, &[a, b, c])?;
    put(ctx, HEADER + ip, &[10, a, b, c])?;
    let sum = u32::from(sum) + u32::from_be_bytes([0, 0, 10, a]) + u32::from_be_bytes([0, 0, b, c]);
    // Twice: the carry of a carry.
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    put(ctx, HEADER + CHECKSUM, &(!(sum as u16)).to_be_bytes())?;
    put(ctx, HEADER + NUMBER, &number.to_ne_bytes())?;
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    put(ctx, HEADER + TIME, &now_ns.to_ne_bytes())?;
    // SAFETY: a helper that takes two integers.
    Some(unsafe { bpf_redirect(output, 0) } as u32)
}

/// Notes a frame, and drops it.
#[xdp(frags)]
pub fn arrival(ctx: XdpContext) -> u32 {
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    if note(&ctx, now_ns).is_none() {
        crate::program::count_arrived();
    }
    XDP_DROP
}

/// Nothing where the frame is none of ours.
#[inline(always)]
fn note(ctx: &XdpContext, now_ns: u64) -> Option<()> {
    match get::<2>(ctx, UNTAGGED - 2)? {
        IPV4 => note_behind::<UNTAGGED>(ctx, DOWN, 0, now_ns),
        VLAN => {
            let tci = u16::from_be_bytes(get::<2>(ctx, UNTAGGED)?);
            note_behind::<TAGGED>(ctx, UP, tci.into(), now_ns)
        }
        _ => None,
    }
}

#[inline(always)]
fn note_behind<const HEADER: usize>(
    ctx: &XdpContext,
    way: u32,
    tci: u64,
    now_ns: u64,
) -> Option<()> {
    if u16::from_be_bytes(get::<2>(ctx, HEADER + UDP_PORT)?) != PORT {
        return None;
    }
    let number = u32::from_ne_bytes(get::<4>(ctx, HEADER + NUMBER)?);
    let sent_ns = u64::from_ne_bytes(get::<8>(ctx, HEADER + TIME)?);
    let arrivals = if way == DOWN {
        &ARRIVED_DOWN
    } else {
        &ARRIVED_UP
    };
    let arrival = arrivals.get_ptr_mut(number)?;
    // SAFETY: an element of an array; two CPUs that have the same number both have its first arrival.
    unsafe {
        if (*arrival).arrived_ns == 0 {
            *arrival = Arrival {
                sent_ns,
                arrived_ns: now_ns,
                tci,
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
