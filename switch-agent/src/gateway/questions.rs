//! Asking a station of which only the MAC is known which of some addresses it has.

use std::collections::HashMap;

use switch_ebpf::frame::Address;

use crate::types::MacAddress;

/// When after the announcement it is asked, in nanoseconds: a VM that has just been resumed may miss
/// the first.
const TIMES_NS: [u64; 4] = [0, 100_000_000, 300_000_000, 1_000_000_000];
/// When it is given up, in nanoseconds.
const PATIENCE_NS: u64 = 3_000_000_000;
/// Stations that are asked at a time.
const MOST: usize = 1024;

/// A question to a station: does it have this address?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who is asked.
    pub mac: MacAddress,
    /// The address.
    pub address: Address,
    /// How often it was asked before.
    pub attempt: usize,
}

#[derive(Debug)]
struct Asked {
    since_ns: u64,
    /// How many of the times have passed.
    attempts: usize,
    /// The addresses without an answer so far.
    addresses: Vec<Address>,
    answered: bool,
}

/// All questions that are open.
#[derive(Debug, Default)]
pub struct Questions {
    open: HashMap<MacAddress, Asked>,
}

impl Questions {
    /// Asks a station from now on, unless it is being asked. Whether it can be.
    pub fn ask(&mut self, mac: MacAddress, addresses: Vec<Address>, now_ns: u64) -> bool {
        if self.open.contains_key(&mac) {
            return true;
        }
        if self.open.len() >= MOST {
            return false;
        }
        let asked = Asked {
            since_ns: now_ns,
            attempts: 0,
            addresses,
            answered: false,
        };
        self.open.insert(mac, asked);
        true
    }

    /// What has to be asked now.
    pub fn due(&mut self, now_ns: u64) -> Vec<Question> {
        let mut due = Vec::new();
        for (mac, asked) in &mut self.open {
            let age_ns = now_ns.saturating_sub(asked.since_ns);
            let passed = TIMES_NS.iter().filter(|time| **time <= age_ns).count();
            if passed > asked.attempts {
                let question = |address: &Address| Question {
                    mac: *mac,
                    address: *address,
                    attempt: passed - 1,
                };
                due.extend(asked.addresses.iter().map(question));
                asked.attempts = passed;
            }
        }
        due
    }

    /// The stations that have not answered anything until now and are given up.
    pub fn given_up(&mut self, now_ns: u64) -> Vec<MacAddress> {
        let mut silent = Vec::new();
        self.open.retain(|mac, asked| {
            let over = now_ns >= asked.since_ns + PATIENCE_NS;
            if over && !asked.answered {
                silent.push(*mac);
            }
            !over
        });
        silent
    }

    /// A station says that it has an address. Whether it was asked for it and had not answered yet.
    pub fn answered(&mut self, mac: MacAddress, address: Address) -> bool {
        let Some(asked) = self.open.get_mut(&mac) else {
            return false;
        };
        let before = asked.addresses.len();
        asked.addresses.retain(|open| *open != address);
        let news = asked.addresses.len() < before;
        asked.answered |= news;
        news
    }

    /// When something is to be done next.
    pub fn next_ns(&self) -> Option<u64> {
        let next = |asked: &Asked| {
            let time_ns = TIMES_NS.get(asked.attempts).unwrap_or(&PATIENCE_NS);
            asked.since_ns + time_ns
        };
        self.open.values().map(next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0, 0, 13]);
    const MS: u64 = 1_000_000;

    fn v4(last: u8) -> Address {
        Address::v4([10, 0, 0, last])
    }

    #[test]
    fn only_what_is_open_is_asked_again() {
        let mut questions = Questions::default();
        assert!(questions.ask(MAC, vec![v4(1), v4(2)], 0));
        assert_eq!(questions.due(0).len(), 2);
        assert_eq!(questions.next_ns(), Some(100 * MS));
        assert!(questions.answered(MAC, v4(2)));
        assert!(!questions.answered(MAC, v4(2)), "once is enough");
        assert!(!questions.answered(MAC, v4(3)), "nobody asked for this");
        assert!(!questions.answered(MacAddress([2; 6]), v4(1)), "another");
        let again = Question {
            mac: MAC,
            address: v4(1),
            attempt: 1,
        };
        assert_eq!(questions.due(100 * MS), [again]);
        assert_eq!(questions.due(300 * MS).len(), 1);
        assert_eq!(questions.due(1000 * MS).len(), 1);
        assert_eq!(questions.next_ns(), Some(3000 * MS));
        assert!(questions.given_up(3000 * MS).is_empty(), "it has answered");
        assert_eq!(questions.next_ns(), None);
    }

    #[test]
    fn who_does_not_answer_is_given_up() {
        let mut questions = Questions::default();
        questions.ask(MAC, vec![v4(1)], 0);
        questions.ask(MAC, vec![v4(1)], 50 * MS);
        assert_eq!(questions.due(50 * MS).len(), 1);
        assert!(questions.given_up(2999 * MS).is_empty());
        assert_eq!(questions.given_up(3000 * MS), [MAC]);
        assert!(!questions.answered(MAC, v4(1)), "too late");
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut questions = Questions::default();
        let mac = |n: usize| MacAddress([2, 0, 0, 0, (n >> 8) as u8, n as u8]);
        for n in 0..MOST {
            assert!(questions.ask(mac(n), vec![v4(1)], 0));
        }
        assert!(!questions.ask(MAC, vec![v4(1)], 0));
    }
}
