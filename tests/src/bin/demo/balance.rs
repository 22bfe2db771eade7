//! Which frames were lost, and where: what went in against what came out.
//!
//! What goes into the switch and comes out of it is counted by the kernel at the far ends of its
//! cables, so the switch's own counters only have to explain the difference.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lab::{Agent, Lab, LinkCounters, Vm, interrupt::idle};
use serde::Deserialize;

/// How long frames may still be under way when the traffic has stopped.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long counters have to stand still to be believed.
const STILL: Duration = Duration::from_millis(50);

/// The drops of frames that the switch had counted as sent.
const AFTER_SENDING: &str = "egress-";

/// All counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The PC's end of its cable to the switch.
    pc: LinkCounters,
    /// The far end of the trunk.
    trunk: LinkCounters,
    /// The VM's interface.
    vm: LinkCounters,
    /// What the switch says of itself.
    switch: Stats,
}

/// What `stats --json` prints, as far as frames are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Stats {
    flooded: u64,
    learning_packets: u64,
    passed: u64,
    questions: u64,
    refused: BTreeMap<String, u64>,
    drops: BTreeMap<String, u64>,
    ports: BTreeMap<String, Counters>,
    sites: BTreeMap<String, Counters>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct Counters {
    rx_packets: u64,
    tx_packets: u64,
}

/// Where frames were lost between two moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Frames that were sent to the switch's ports.
    pub offered: i64,
    /// How many fewer came out of it than should have. Below zero, some came out twice.
    pub lost: i64,
    /// Why, as far as it is known; reasons that did not occur are left out.
    pub reasons: Vec<(String, i64)>,
    /// Frames that left the switch for the VM and did not reach it.
    pub network_to_vm: i64,
    /// Frames that left the VM and did not reach the switch.
    pub network_from_vm: i64,
}

impl Snapshot {
    /// Reads all counters.
    pub fn take(lab: &Lab, vm: &Vm, switch: &Agent) -> Result<Self> {
        let stats = switch.cli_ok(&["stats", "--json"])?;
        Ok(Self {
            pc: lab.client.ns.counters(&lab.client.interface)?,
            trunk: lab.wan.counters("pt0")?,
            vm: vm.ns.counters(&vm.interface)?,
            switch: serde_json::from_str(&stats)
                .with_context(|| format!("read the counters {stats}"))?,
        })
    }

    /// Reads all counters until they stand still, or at least until they ought to.
    pub fn settled(lab: &Lab, vm: &Vm, switch: &Agent) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = Self::take(lab, vm, switch)?;
        loop {
            idle(STILL)?;
            let next = Self::take(lab, vm, switch)?;
            if next == last || Instant::now() > deadline {
                return Ok(next);
            }
            last = next;
        }
    }
}

impl Balance {
    /// Balances what happened from one moment to another. Meanwhile the VM has been announced so
    /// often, which the VPNs do not carry.
    pub fn between(before: &Snapshot, after: &Snapshot, announced: u32) -> Self {
        let count = |counter: &dyn Fn(&Snapshot) -> u64| {
            counter(after).cast_signed() - counter(before).cast_signed()
        };
        let sum = |counters: &BTreeMap<String, Counters>, pick: fn(&Counters) -> u64| {
            counters.values().map(pick).sum::<u64>()
        };

        let sent_in = count(&|at| at.pc.tx_packets + at.trunk.tx_packets);
        let no_room = count(&|at| at.pc.tx_dropped + at.trunk.tx_dropped);
        // What the switch asks an old site after a move came out of it and never went in.
        let asked = count(&|at| at.switch.questions);
        let came_out = count(&|at| at.pc.rx_packets + at.trunk.rx_packets) - asked;
        let seen = count(&|at| sum(&at.switch.ports, |port| port.rx_packets));
        let sent_out = count(&|at| sum(&at.switch.ports, |port| port.tx_packets));
        let passed = count(&|at| at.switch.passed);
        // What gateways send is for the switch itself.
        let swallowed = count(&|at| at.switch.learning_packets);
        // A frame for everyone goes in once and comes out once for each site.
        let more_sites = (after.switch.sites.len() as i64 - 1).max(0);
        let copies = count(&|at| at.switch.flooded) * more_sites;

        let mut gone = sent_out - came_out;
        let mut reasons = vec![
            ("no room at its port".to_owned(), no_room),
            ("between port and datapath".to_owned(), sent_in - seen),
        ];
        let named = |at: &Snapshot, map: fn(&Stats) -> &BTreeMap<String, u64>, reason: &str| {
            map(&at.switch).get(reason).copied().unwrap_or(0)
        };
        for reason in after.switch.drops.keys() {
            let drops = count(&|at| named(at, |stats| &stats.drops, reason));
            if reason.starts_with(AFTER_SENDING) {
                gone -= drops;
            }
            reasons.push((format!("dropped, {reason}"), drops));
        }
        for reason in after.switch.refused.keys() {
            let refused = count(&|at| named(at, |stats| &stats.refused, reason));
            reasons.push((format!("refused, {reason}"), refused));
        }
        reasons.push(("on the way out of its port".to_owned(), gone));
        let lost = sent_in + no_room + copies - passed - swallowed - came_out;
        let known: i64 = reasons.iter().map(|(_, frames)| frames).sum();
        reasons.push(("unexplained".to_owned(), lost - known));
        reasons.retain(|(_, frames)| *frames != 0);

        let to_sites = count(&|at| sum(&at.switch.sites, |site| site.tx_packets));
        let from_sites = count(&|at| sum(&at.switch.sites, |site| site.rx_packets)) - swallowed;
        let from_vm = count(&|at| at.vm.tx_packets) - i64::from(announced);
        Self {
            offered: sent_in + no_room,
            lost,
            reasons,
            network_to_vm: to_sites - copies - count(&|at| at.vm.rx_packets),
            network_from_vm: from_vm - from_sites,
        }
    }

    /// What was lost between the switch and the VM.
    pub fn network(&self) -> i64 {
        self.network_to_vm + self.network_from_vm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames from the PC to the VM, three back, and one from the PC to everyone.
    fn after() -> Snapshot {
        let link = |rx_packets, tx_packets| LinkCounters {
            rx_packets,
            tx_packets,
            tx_dropped: 0,
        };
        let counters = |name: &str, rx_packets, tx_packets| {
            (
                name.to_owned(),
                Counters {
                    rx_packets,
                    tx_packets,
                },
            )
        };
        Snapshot {
            pc: link(3, 3),
            trunk: link(4, 3),
            vm: link(3, 3),
            switch: Stats {
                flooded: 1,
                drops: [("too-big".to_owned(), 0)].into(),
                ports: [counters("c0", 3, 3), counters("t0", 3, 4)].into(),
                sites: [counters("dc1", 3, 3), counters("dc2", 0, 1)].into(),
                ..Stats::default()
            },
        }
    }

    fn balance(after: &Snapshot) -> Balance {
        Balance::between(&Snapshot::default(), after, 0)
    }

    #[test]
    fn nothing_is_lost_when_as_much_comes_out_as_goes_in() {
        let even = Balance {
            offered: 6,
            ..Balance::default()
        };
        assert_eq!(balance(&after()), even);
        assert_eq!(Balance::between(&after(), &after(), 0), Balance::default());
    }

    fn sent_but_gone(at: &mut Snapshot) {
        at.pc.tx_packets += 1;
        for (port, rx, tx) in [("c0", 1, 0), ("t0", 0, 1)] {
            let port = at.switch.ports.get_mut(port).expect("the port");
            port.rx_packets += rx;
            port.tx_packets += tx;
        }
    }

    #[test]
    fn every_loss_has_its_place() {
        type Loss = fn(&mut Snapshot);
        let losses: [(&str, Loss); 7] = [
            ("no room at its port", |at| at.pc.tx_dropped += 1),
            ("between port and datapath", |at| at.pc.tx_packets += 1),
            ("on the way out of its port", sent_but_gone),
            ("dropped, egress-full", |at| {
                sent_but_gone(at);
                at.switch.drops.insert("egress-full".to_owned(), 1);
            }),
            ("dropped, too-big", |at| {
                at.pc.tx_packets += 1;
                at.switch.ports.get_mut("c0").expect("the port").rx_packets += 1;
                at.switch.drops.insert("too-big".to_owned(), 1);
            }),
            ("refused, pinned", |at| {
                at.trunk.tx_packets += 1;
                at.switch.ports.get_mut("t0").expect("the port").rx_packets += 1;
                at.switch.refused.insert("pinned".to_owned(), 1);
            }),
            ("unexplained", |at| {
                at.pc.tx_packets += 1;
                at.switch.ports.get_mut("c0").expect("the port").rx_packets += 1;
            }),
        ];
        for (reason, loss) in losses {
            let mut after = after();
            loss(&mut after);
            let balance = balance(&after);
            assert_eq!(balance.lost, 1, "{reason}");
            assert_eq!(balance.reasons, [(reason.to_owned(), 1)]);
        }
    }

    #[test]
    fn a_frame_that_comes_out_twice_is_no_even_balance() {
        let mut after = after();
        after.pc.rx_packets += 1;
        assert_eq!(balance(&after).lost, -1);
    }

    #[test]
    fn what_is_not_for_the_other_end_is_not_lost() {
        let mut after = after();
        // An announcement, of which the gateway makes a learning packet.
        after.vm.tx_packets += 1;
        after.trunk.tx_packets += 1;
        after.switch.learning_packets += 1;
        for counters in [&mut after.switch.ports, &mut after.switch.sites] {
            for (name, counters) in counters {
                counters.rx_packets += u64::from(name == "t0" || name == "dc2");
            }
        }
        let even = Balance {
            offered: 7,
            ..Balance::default()
        };
        assert_eq!(Balance::between(&Snapshot::default(), &after, 1), even);
    }

    #[test]
    fn what_the_switch_asks_by_itself_is_no_frame_too_many() {
        let mut after = after();
        after.trunk.rx_packets += 3;
        after.switch.questions += 3;
        let even = Balance {
            offered: 6,
            ..Balance::default()
        };
        assert_eq!(balance(&after), even);
    }

    #[test]
    fn the_network_loses_what_the_switch_has_sent() {
        let mut after = after();
        after.vm.rx_packets -= 2;
        after.vm.tx_packets += 1;
        let balance = balance(&after);
        assert_eq!(balance.lost, 0);
        assert_eq!((balance.network_to_vm, balance.network_from_vm), (2, 1));
        assert_eq!(balance.network(), 3);
    }
}
