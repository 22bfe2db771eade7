//! When learning packets are sent: several times, so that no single loss matters.

use std::collections::HashMap;

use switch_ebpf::{frame::Address, learning_packet::Announcement};

use crate::types::MacAddress;

/// When after an announcement, in nanoseconds: as QEMU announces (`net/announce.c`).
pub const TIMES_NS: [u64; 5] = [0, 50_000_000, 200_000_000, 450_000_000, 800_000_000];
/// Announcements of the same in so long, in nanoseconds, are the same news: hypervisor and guest
/// both announce, and each several times.
const NEWS_NS: u64 = 1_000_000_000;
/// How far apart they are at least, in nanoseconds, when some are late.
const APART_NS: u64 = 20_000_000;
/// Addresses that are announced at a time.
const MOST: usize = 4096;

/// What is to be told the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// The VM's address.
    pub address: Address,
    /// The VM's MAC.
    pub mac: MacAddress,
    /// What it rests on.
    pub announcement: Announcement,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    news: News,
    since_ns: u64,
    /// How often it was told.
    told: usize,
    /// When it is to be told next, or forgotten.
    next_ns: u64,
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It is news.
    New,
    /// It is being told already.
    Running,
    /// Too much is being told already.
    Full,
}

/// What is being told.
#[derive(Debug, Default)]
pub struct Schedule {
    runs: HashMap<Address, Run>,
}

impl Schedule {
    /// Has news told from now on. What another MAC said of the same address is told no longer.
    pub fn start(&mut self, news: News, now_ns: u64) -> Started {
        let full = self.runs.len() >= MOST;
        let run = self.runs.get(&news.address);
        let goes_on = |run: &Run| run.told < TIMES_NS.len() || now_ns < run.since_ns + NEWS_NS;
        if run.is_some_and(|run| run.news.mac == news.mac && goes_on(run)) {
            return Started::Running;
        }
        if run.is_none() && full {
            return Started::Full;
        }
        let run = Run {
            news,
            since_ns: now_ns,
            told: 0,
            next_ns: now_ns,
        };
        self.runs.insert(news.address, run);
        Started::New
    }

    /// What has to be told now. However late it is asked, each is told as often, and not in a burst.
    pub fn due(&mut self, now_ns: u64) -> Vec<News> {
        let mut due = Vec::new();
        self.runs.retain(|_, run| {
            if now_ns < run.next_ns {
                return true;
            }
            if run.told == TIMES_NS.len() {
                return false;
            }
            due.push((run.since_ns, run.news));
            run.told += 1;
            run.next_ns = match TIMES_NS.get(run.told) {
                Some(time_ns) => (run.since_ns + time_ns).max(now_ns + APART_NS),
                None => run.since_ns + NEWS_NS,
            };
            true
        });
        due.sort_by_key(|(since_ns, _)| *since_ns);
        due.into_iter().map(|(_, news)| news).collect()
    }

    /// When something is due next.
    pub fn next_ns(&self) -> Option<u64> {
        self.runs.values().map(|run| run.next_ns).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn news(last: u8, mac: u8) -> News {
        News {
            address: Address::v4([10, 0, 0, last]),
            mac: MacAddress([2, 0, 0, 0, 0, mac]),
            announcement: Announcement::Arp,
        }
    }

    /// Walks from one due time to the next, as the agent does.
    fn told(schedule: &mut Schedule) -> Vec<(u64, u8)> {
        let mut told = Vec::new();
        while let Some(now_ns) = schedule.next_ns() {
            let due = schedule.due(now_ns);
            told.extend(due.iter().map(|news| (now_ns / MS, news.mac.0[5])));
        }
        told
    }

    #[test]
    fn five_times() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.start(news(5, 1), 100 * MS), Started::New);
        let times: Vec<_> = told(&mut schedule).iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [100, 150, 300, 550, 900]);
        assert_eq!(schedule.next_ns(), None);
    }

    #[test]
    fn a_hypervisors_burst_is_one_piece_of_news() {
        let mut schedule = Schedule::default();
        for (n, time_ns) in TIMES_NS.iter().enumerate() {
            let started = schedule.start(news(5, 1), *time_ns);
            assert_eq!(started == Started::New, n == 0);
            assert_eq!(schedule.due(*time_ns).len(), 1);
        }
        assert_eq!(schedule.start(news(5, 1), 999 * MS), Started::Running);
        assert_eq!(schedule.start(news(5, 1), 1000 * MS), Started::New);
    }

    #[test]
    fn another_mac_is_other_news() {
        let mut schedule = Schedule::default();
        schedule.start(news(5, 1), 0);
        assert_eq!(schedule.due(0), [news(5, 1)]);
        assert_eq!(schedule.start(news(5, 2), 10 * MS), Started::New);
        assert!(told(&mut schedule).iter().all(|(_, mac)| *mac == 2));
    }

    #[test]
    fn late_is_as_often_and_not_a_burst() {
        let mut schedule = Schedule::default();
        schedule.start(news(5, 1), 0);
        assert_eq!(schedule.due(500 * MS).len(), 1);
        assert_eq!(schedule.due(510 * MS), []);
        let times: Vec<_> = told(&mut schedule).iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [520, 540, 560, 800]);
        // So late that it would be forgotten.
        schedule.start(news(5, 1), 2000 * MS);
        assert_eq!(schedule.due(9000 * MS).len(), 1);
        assert_eq!(told(&mut schedule).len(), 4);
        assert_eq!(schedule.next_ns(), None);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut schedule = Schedule::default();
        for n in 0..MOST as u32 {
            let address = Address::v4((0x0a00_0000 + n).to_be_bytes());
            let started = schedule.start(
                News {
                    address,
                    ..news(0, 1)
                },
                0,
            );
            assert_eq!(started, Started::New);
        }
        let one_more = Address::v4([11, 0, 0, 1]);
        let one_more = News {
            address: one_more,
            ..news(0, 1)
        };
        assert_eq!(schedule.start(one_more, 0), Started::Full);
        assert_eq!(told(&mut schedule).len(), MOST * 5);
        assert_eq!(schedule.start(one_more, 2000 * MS), Started::New);
    }
}
