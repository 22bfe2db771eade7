//! Hearing who is there: announcements on the LAN, and which addresses each station uses.

use aya_ebpf::{bindings::xdp_md, helpers::bpf_ktime_get_ns, programs::XdpContext};
use switch_ebpf::{
    abi::gateway::{
        Counter, KIND_ADDRESS, KIND_ANNOUNCEMENT, KIND_ANSWER, LAN_LIMIT, MAX_FRAME,
        MAX_STATION_ADDRESSES, Notice, SEEN_STEP_NS, SIDE_LAN, SIDE_TRUNK, STATION_LIMIT, Station,
        StationAddress,
    },
    frame::{Address, Frame, Kind},
    xdp::{Packet, Shared, length, within},
};

use crate::{count, maps, notice};

/// Listens to a frame that came in on a side. `to_port`: it is addressed to the port itself.
///
/// A function of its own, and so are its steps, as a program's stack is small. Whatever is wrong with
/// a frame, it is not listened to and goes its way.
#[inline(never)]
pub fn listen(ctx: *mut xdp_md, side: u16, to_port: bool) {
    let ctx = &XdpContext::new(ctx);
    let bytes = &Packet(ctx);
    let Ok(frame) = Frame::read(bytes) else {
        return;
    };
    let Ok(packet) = frame.packet(bytes, length(ctx)) else {
        return;
    };
    let from = Station {
        mac: frame.source,
        side,
    };
    if !is_station(&from.mac) {
        return;
    }
    let announces = match packet.kind {
        Kind::Rarp => frame.is_rarp_announcement(bytes),
        Kind::Arp => packet.speaker == packet.subject && packet.speaker.is_vm(),
        Kind::UnsolicitedAdvertisement => packet.speaker.is_vm(),
        _ => false,
    };
    let answers = matches!(
        packet.kind,
        Kind::Arp | Kind::Advertisement | Kind::UnsolicitedAdvertisement
    );
    if announces && side == SIDE_LAN {
        if within_limits(&from) {
            hand_up(ctx.ctx, &from, KIND_ANNOUNCEMENT);
        }
    } else if to_port && answers {
        hand_up(ctx.ctx, &from, KIND_ANSWER);
    } else if matches!(packet.kind, Kind::Ip | Kind::Solicitation | Kind::Arp) {
        uses(&StationAddress {
            station: from,
            address: packet.speaker,
        });
    }
    if side == SIDE_TRUNK && matches!(packet.kind, Kind::Ip) {
        // Whoever writes to a VM from beyond the VPN knows which address its MAC has. That is no
        // evidence, but a reason to ask.
        let to = Station {
            mac: frame.destination,
            side,
        };
        if is_station(&to.mac) {
            uses(&StationAddress {
                station: to,
                address: packet.subject,
            });
        }
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
                count::counter(Counter::StationBound);
                return false;
            }
        }
        // A flood of MACs leaves the limit of them all.
        None => count::counter(Counter::StationsFull),
    }
    let within = within(maps::lan_due(), LAN_LIMIT);
    if !within {
        count::counter(Counter::LanBound);
    }
    within
}

/// Hands a frame to the agent.
#[inline(never)]
fn hand_up(ctx: *mut xdp_md, station: &Station, kind: u32) {
    let length = length(&XdpContext::new(ctx));
    if length > MAX_FRAME {
        return count::counter(Counter::TooLong);
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
        count::counter(Counter::NoticeLost);
    } else if kind == KIND_ANNOUNCEMENT {
        count::counter(Counter::Announcements);
    }
}

/// A station uses an address: news for the agent, once.
#[inline(never)]
fn uses(about: &StationAddress) {
    if !about.address.is_vm() {
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
        return count::counter(Counter::StationsFull);
    };
    // SAFETY: `state` points to an element of the map, whose count is written atomically here.
    let addresses = unsafe { Shared::new(&raw mut (*state).addresses) };
    if addresses.load() >= MAX_STATION_ADDRESSES {
        return count::counter(Counter::AddressBound);
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
