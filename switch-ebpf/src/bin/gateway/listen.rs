//! Hearing who is there: announcements on the LAN, and which addresses each station uses.

use core::mem::MaybeUninit;

use aya_ebpf::{bindings::xdp_md, helpers::bpf_ktime_get_ns, programs::XdpContext};
use switch_ebpf::{
    abi::gateway::{
        Counter, KIND_ADDRESS, KIND_ANNOUNCEMENT, KIND_ANSWER, LAN_LIMIT, MAX_FRAME,
        MAX_STATION_ADDRESSES, Notice, SEEN_STEP_NS, SIDE_LAN, SIDE_TRUNK, STATION_LIMIT, Station,
        StationAddress,
    },
    frame::{Address, Frame, Kind},
    xdp::{Packet, Shared, count, length, within},
};

use crate::{maps, notice};

/// What a frame has to say, as far as a gateway listens.
mod saying {
    /// Nothing.
    pub const NOTHING: u32 = 0;
    /// Who uses an address, in ordinary traffic.
    pub const USE: u32 = 1;
    /// An IP packet says so, which also names whom it is meant for.
    pub const PACKET: u32 = 1 << 1;
    /// It may be an announcement.
    pub const ANNOUNCEMENT: u32 = 1 << 2;
    /// It may be the answer to a question.
    pub const ANSWER: u32 = 1 << 3;
}

/// Listens to a frame that came in on a side. `to_port`: it is addressed to the port itself.
///
/// A function of its own, and so are its steps, as a program's stack is small. Whatever is wrong with
/// a frame, it is not listened to and goes its way.
#[inline(never)]
pub fn listen(ctx: *mut xdp_md, side: u16, to_port: bool) {
    let (mut from, mut to) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let saying = read(ctx, side, &mut from, &mut to);
    if saying == saying::NOTHING {
        return;
    }
    // SAFETY: `read` has written both where it says anything.
    let (from, to) = unsafe { (from.assume_init_ref(), to.assume_init_ref()) };
    if saying & saying::ANNOUNCEMENT != 0 && side == SIDE_LAN {
        if within_limits(&from.station) {
            hand_up(ctx, &from.station, KIND_ANNOUNCEMENT);
        }
    } else if saying & saying::ANSWER != 0 && to_port {
        hand_up(ctx, &from.station, KIND_ANSWER);
    } else if saying & saying::USE != 0 {
        uses(from);
    }
    if saying & saying::PACKET != 0 && side == SIDE_TRUNK {
        // Whoever writes to a VM from beyond the VPN knows which address its MAC has. That is no
        // evidence, but a reason to ask.
        uses(to);
    }
}

/// Reads what a frame has to say. Where that is anything, `from` is whose address it speaks for, and
/// `to` whom it is meant for.
#[inline(never)]
fn read(
    ctx: *mut xdp_md,
    side: u16,
    from: &mut MaybeUninit<StationAddress>,
    to: &mut MaybeUninit<StationAddress>,
) -> u32 {
    let ctx = &XdpContext::new(ctx);
    let bytes = &Packet(ctx);
    let Ok(frame) = Frame::read(bytes) else {
        return saying::NOTHING;
    };
    let Ok(packet) = frame.packet(bytes, length(ctx)) else {
        return saying::NOTHING;
    };
    if !is_station(&frame.source) {
        return saying::NOTHING;
    }
    let about = |mac, address| StationAddress {
        station: Station { mac, side },
        address,
    };
    from.write(about(frame.source, packet.speaker));
    to.write(about(frame.destination, packet.subject));
    let vms = if packet.speaker.is_vm() {
        saying::ANNOUNCEMENT
    } else {
        saying::NOTHING
    };
    match packet.kind {
        Kind::Rarp if frame.is_rarp_announcement(bytes) => saying::ANNOUNCEMENT,
        Kind::Arp if packet.speaker == packet.subject => saying::ANSWER | vms,
        Kind::Arp => saying::ANSWER | saying::USE,
        Kind::UnsolicitedAdvertisement => saying::ANSWER | vms,
        Kind::Advertisement => saying::ANSWER,
        Kind::Solicitation => saying::USE,
        Kind::Ip => saying::USE | saying::PACKET,
        _ => saying::NOTHING,
    }
}

/// Whether a MAC is one station's: neither a group's nor zero.
#[inline(always)]
fn is_station(mac: &[u8; 6]) -> bool {
    let [a, b, c, d, e, f] = *mac;
    a & 1 == 0 && a | b | c | d | e | f != 0
}

/// Whether a station may announce something now.
#[inline(never)]
fn within_limits(from: &Station) -> bool {
    match maps::station(from) {
        Some(state) => {
            // SAFETY: `state` points to an element of the map, whose due time is only written here,
            // and atomically.
            let due = unsafe { Shared::new(&raw mut (*state).due_ns) };
            if !within(Some(due), STATION_LIMIT) {
                count::counter(Counter::StationBound as u32);
                return false;
            }
        }
        // A flood of MACs leaves the limit of them all.
        None => count::counter(Counter::StationsFull as u32),
    }
    let within = within(maps::lan_due(), LAN_LIMIT);
    if !within {
        count::counter(Counter::LanBound as u32);
    }
    within
}

/// Hands a frame to the agent.
#[inline(never)]
fn hand_up(ctx: *mut xdp_md, station: &Station, kind: u32) {
    let length = length(&XdpContext::new(ctx));
    if length > MAX_FRAME {
        return count::counter(Counter::TooLong as u32);
    }
    let notice = Notice {
        // SAFETY: a helper without arguments.
        time_ns: unsafe { bpf_ktime_get_ns() },
        kind,
        length: length as u32,
        about: StationAddress {
            station: *station,
            address: Address::UNSPECIFIED,
        },
    };
    if !notice::with_frame(ctx, &notice) {
        count::counter(Counter::NoticeLost as u32);
    }
}

/// A station uses an address: news for the agent, once.
#[inline(never)]
fn uses(about: &StationAddress) {
    if !about.address.is_vm() || !is_station(&about.station.mac) {
        return;
    }
    // SAFETY: a helper without arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    if let Some(seen) = maps::seen(about) {
        // SAFETY: `seen` points to an element of the map, of which any CPU's word is as good.
        unsafe {
            if time_ns.saturating_sub(seen.read_volatile()) > SEEN_STEP_NS {
                seen.write_volatile(time_ns);
            }
        }
        return;
    }
    let Some(state) = maps::station(&about.station) else {
        return count::counter(Counter::StationsFull as u32);
    };
    // SAFETY: `state` points to an element of the map, whose count is written atomically here.
    let addresses = unsafe { Shared::new(&raw mut (*state).addresses) };
    if addresses.load() >= MAX_STATION_ADDRESSES {
        return count::counter(Counter::AddressBound as u32);
    }
    let notice = Notice {
        time_ns,
        kind: KIND_ADDRESS,
        length: 0,
        about: *about,
    };
    if notice::alone(&notice, || maps::add_address(about, time_ns)) {
        addresses.increment();
    }
}
