//! Whom the agent asks after a move whether the address still answers at its old place (the CONFIRM
//! of RFC 9161 §3.4). Pure: it is told the time, and sends nothing.

use std::collections::HashMap;

use switch_ebpf::abi::BindingKey;

/// How often the old place is asked.
const TRIES: u32 = 3;
/// The time after each try for its answer: all of them take a second.
const INTERVAL_NS: u64 = 1_000_000_000 / TRIES as u64;
/// How many moves are questioned at once. It bounds memory, and with it what a storm of moves makes
/// the agent send: three times as many frames a second.
const MOST: usize = 1024;

/// A move that is questioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose address.
    pub key: BindingKey,
    /// The site that it has left, where the question goes.
    pub old_site: u32,
    /// The site that it has moved to.
    pub new_site: u32,
    /// The MAC that it had before, which is asked.
    pub old_mac: [u8; 6],
    /// The MAC that it moved with.
    pub mac: [u8; 6],
}

/// A question that may still be answered.
#[derive(Debug)]
struct Open {
    question: Question,
    since_ns: u64,
    tries: u32,
    /// When it is asked again, or given up.
    next_ns: u64,
}

/// The questions that are open, one for an address at most.
#[derive(Debug, Default)]
pub struct Questions {
    open: HashMap<BindingKey, Open>,
    /// No question is due before this.
    next_ns: u64,
}

impl Questions {
    /// Begins to question a move, instead of the address's move before. False where too many are open.
    #[must_use]
    pub fn ask(&mut self, question: Question, now_ns: u64) -> bool {
        self.close(&question.key);
        if self.open.len() >= MOST {
            return false;
        }
        let open = Open {
            question,
            since_ns: now_ns,
            tries: 0,
            next_ns: now_ns,
        };
        self.open.insert(question.key, open);
        self.next_ns = self.next_ns.min(now_ns);
        true
    }

    /// What is to be asked now. Where nobody has answered the last try either, the move stands.
    pub fn due(&mut self, now_ns: u64) -> Vec<Question> {
        let mut due = Vec::new();
        if now_ns < self.next_ns {
            return due;
        }
        let mut next_ns = u64::MAX;
        self.open.retain(|_, open| {
            if open.next_ns <= now_ns {
                if open.tries == TRIES {
                    return false;
                }
                open.tries += 1;
                open.next_ns = now_ns.saturating_add(INTERVAL_NS);
                due.push(open.question);
            }
            next_ns = next_ns.min(open.next_ns);
            true
        });
        self.next_ns = next_ns;
        due
    }

    /// An address has answered at a site, at that time. The move that is in question by that.
    pub fn answered(&mut self, key: &BindingKey, site: u32, time_ns: u64) -> Option<Question> {
        let open = self.open.get(key)?;
        // What came in before the question answers another one.
        if open.question.old_site != site || open.tries == 0 || time_ns < open.since_ns {
            return None;
        }
        self.open.remove(key).map(|open| open.question)
    }

    /// Whatever was asked about an address does not matter any more.
    pub fn close(&mut self, key: &BindingKey) {
        self.open.remove(key);
    }

    /// Where an address is being asked for, and how often it was.
    pub fn tries(&self, key: &BindingKey) -> Option<(u32, u32)> {
        let open = self.open.get(key)?;
        Some((open.question.old_site, open.tries))
    }
}

#[cfg(test)]
mod tests {
    use switch_ebpf::frame::Address;

    use super::*;

    const OLD: u32 = 1;
    const NEW: u32 = 2;
    const MS: u64 = 1_000_000;

    fn question(last: u8) -> Question {
        Question {
            key: BindingKey {
                network: 0,
                address: Address::v4([10, 0, 0, last]),
            },
            old_site: OLD,
            new_site: NEW,
            old_mac: [2, 0, 0, 0, 0, 1],
            mac: [2, 0, 0, 0, 0, 2],
        }
    }

    #[test]
    fn three_tries_in_a_second_and_then_the_move_stands() {
        let mut questions = Questions::default();
        let moved = question(1);
        assert!(questions.ask(moved, 5000 * MS));
        let mut asked = Vec::new();
        for ms in 5000..7000 {
            for due in questions.due(ms * MS) {
                assert_eq!(due, moved);
                asked.push(ms);
            }
        }
        assert_eq!(asked, [5000, 5334, 5668]);
        assert_eq!(questions.tries(&moved.key), None);
        assert_eq!(questions.answered(&moved.key, OLD, 7000 * MS), None);
    }

    #[test]
    fn only_the_old_place_answers_and_once() {
        let mut questions = Questions::default();
        let moved = question(1);
        assert!(questions.ask(moved, 50));
        assert_eq!(questions.answered(&moved.key, OLD, 60), None, "not asked");
        assert_eq!(questions.due(60), [moved]);
        assert_eq!(questions.tries(&moved.key), Some((OLD, 1)));
        assert_eq!(questions.answered(&moved.key, NEW, 70), None);
        assert_eq!(questions.answered(&question(2).key, OLD, 70), None);
        assert_eq!(questions.answered(&moved.key, OLD, 49), None, "from before");
        assert_eq!(questions.answered(&moved.key, OLD, 70), Some(moved));
        assert_eq!(questions.answered(&moved.key, OLD, 71), None);
        assert!(questions.due(u64::MAX).is_empty());
    }

    #[test]
    fn another_move_is_another_question() {
        let mut questions = Questions::default();
        let there = question(1);
        let back = Question {
            old_site: NEW,
            new_site: OLD,
            ..there
        };
        assert!(questions.ask(there, 0));
        assert_eq!(questions.due(0), [there]);
        assert!(questions.ask(back, 10));
        assert_eq!(questions.due(10), [back]);
        assert_eq!(questions.answered(&there.key, OLD, 20), None);
        questions.close(&there.key);
        assert_eq!(questions.answered(&there.key, NEW, 20), None);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut questions = Questions::default();
        for n in 0..MOST {
            let mut question = question(0);
            question.key.address = Address::v4([10, 1, (n >> 8) as u8, n as u8]);
            assert!(questions.ask(question, 0));
        }
        assert!(!questions.ask(question(1), 0));
        assert_eq!(questions.due(0).len(), MOST);
        // The same address again takes no more room.
        let mut again = question(0);
        again.key.address = Address::v4([10, 1, 0, 0]);
        assert!(questions.ask(again, 0));
    }
}
