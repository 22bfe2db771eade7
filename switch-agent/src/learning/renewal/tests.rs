//! A shortcut that goes from one IPv6 address to another of the same hash and back, under programs that read
//! it and its owner word by word. (Those of IPv4 addresses are one word.)

use proptest::{collection::vec, prelude::*};
use switch_ebpf::{
    abi::{
        BindingKey,
        shortcut::{Seed, Shortcut, Sought},
    },
    frame::Address,
};

use super::*;

const CPUS: usize = 2;
/// The words that are read: two of the owner and the shortcut.
const WORDS: usize = 3;
const SHORTCUT: usize = 2;

/// Two addresses that differ in both words.
fn key(number: u8) -> BindingKey {
    BindingKey {
        network: 3,
        address: Address::v6([number + 1; 16]),
    }
}

/// Without a seed all addresses have one hash.
fn sought(number: u8) -> Sought {
    Sought::new(&key(number), &Seed::default(), 2)
}

/// A program that looks for the shortcut of an address, one word after the other in any order.
#[derive(Clone, Debug)]
struct Program {
    wanted: u8,
    order: [usize; WORDS],
    read: Vec<u64>,
    /// Sites that the address's shortcut led to while the program ran.
    true_sites: Vec<u32>,
}

/// What the agent does, in single steps.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize, u64),
    Removed,
}

/// The shortcut, who goes by it and who writes it.
#[derive(Debug)]
struct World {
    words: [u64; WORDS],
    runs: [u64; CPUS],
    running: [Option<Program>; CPUS],
    /// Whose the shortcut is, as the agent has it.
    owner: Option<u8>,
    site: u32,
    steps: std::collections::VecDeque<Step>,
    renewal: Renewal<()>,
    passed: usize,
}

/// Who goes on, by how many steps.
#[derive(Clone, Debug)]
enum Choice {
    Begin(usize, u8, [usize; WORDS]),
    Program(usize, usize),
    Agent(usize),
    /// The agent binds this address, or moves it or removes it if the shortcut is its own.
    Order(u8, bool),
    Turn,
    /// Another agent: what the last one was about to do is not done, and what it knew is forgotten.
    Kill,
}

impl World {
    fn new() -> Self {
        Self {
            words: [0; WORDS],
            runs: [0; CPUS],
            running: [const { None }; CPUS],
            owner: None,
            site: 0,
            steps: Default::default(),
            renewal: Renewal::default(),
            passed: 0,
        }
    }

    fn shortcut(&self) -> Shortcut {
        Shortcut(self.words[SHORTCUT])
    }

    fn is_of(&self, number: u8) -> bool {
        let is_owner = self.words[..SHORTCUT] == key(number).address.halves();
        self.shortcut().is_of(&sought(number)) && is_owner
    }

    fn is_free(&self) -> bool {
        self.shortcut() == Shortcut::FREE && self.words[..SHORTCUT] == [0; SHORTCUT]
    }

    /// Where the shortcut leads, and whose it is.
    fn leads(&self, number: u8) -> Option<u32> {
        let site = self.shortcut().leads(&sought(number))?;
        self.is_of(number).then_some(site)
    }

    fn note(&mut self) {
        let leads = [0, 1].map(|number| self.leads(number));
        for program in self.running.iter_mut().flatten() {
            program
                .true_sites
                .extend(leads[usize::from(program.wanted)]);
        }
    }

    fn go_on(&mut self, choice: Choice) -> Result<(), TestCaseError> {
        match choice {
            Choice::Begin(cpu, wanted, order) if self.running[cpu].is_none() => {
                self.runs[cpu] += 1;
                let program = Program {
                    wanted,
                    order,
                    read: Vec::new(),
                    true_sites: Vec::new(),
                };
                self.running[cpu] = Some(program);
                self.note();
            }
            Choice::Begin(..) => {}
            Choice::Program(cpu, steps) => {
                for _ in 0..steps {
                    self.program(cpu)?;
                }
            }
            Choice::Agent(steps) => (0..steps).for_each(|_| self.agent()),
            Choice::Order(number, remove) => self.order(number, remove),
            Choice::Turn if self.steps.is_empty() => self.turn(),
            Choice::Turn => {}
            Choice::Kill => self.adopt(),
        }
        Ok(())
    }

    fn program(&mut self, cpu: usize) -> Result<(), TestCaseError> {
        let Some(program) = &mut self.running[cpu] else {
            return Ok(());
        };
        if program.read.len() < WORDS {
            let word = program.order[program.read.len()];
            program.read.push(self.words[word]);
            return Ok(());
        }
        let mut words = [0; WORDS];
        for (word, value) in program.order.iter().zip(&program.read) {
            words[*word] = *value;
        }
        let address = key(program.wanted).address;
        if words[..SHORTCUT] == address.halves()
            && let Some(site) = Shortcut(words[SHORTCUT]).leads(&sought(program.wanted))
        {
            prop_assert!(program.true_sites.contains(&site), "{program:?} at {site}");
            self.passed += 1;
        }
        self.running[cpu] = None;
        self.runs[cpu] += 1;
        Ok(())
    }

    fn agent(&mut self) {
        match self.steps.pop_front() {
            Some(Step::Write(word, value)) => self.words[word] = value,
            Some(Step::Removed) => self.renewal.add([()]),
            None => {}
        }
        self.note();
    }

    /// As `Shortcuts::lead`, `close` and `leave`.
    fn order(&mut self, number: u8, remove: bool) {
        if !self.steps.is_empty() {
            return;
        }
        let shortcut = self.shortcut();
        self.site += 1;
        let set = |to: Shortcut| Step::Write(SHORTCUT, to.0);
        let lead = set(Shortcut::to(&sought(number), self.site));
        if self.owner == Some(number) && remove {
            self.owner = None;
            self.steps.extend([set(shortcut.leaving()), Step::Removed]);
        } else if self.owner == Some(number) {
            self.steps.extend([set(shortcut.closed()), lead]);
        } else if self.owner.is_none() && self.is_free() && !remove {
            self.owner = Some(number);
            let [high, low] = key(number).address.halves();
            self.steps
                .extend([Step::Write(0, high), Step::Write(1, low), lead]);
        }
    }

    /// As `FlowTable::renew_shortcuts`, `Shortcuts::empty` and `free`.
    fn turn(&mut self) {
        let Work { empty, free } = self.renewal.turn(&self.runs.as_slice().into());
        for () in empty {
            let write = [(SHORTCUT, Shortcut::EMPTIED.0), (0, 0), (1, 0)];
            self.steps
                .extend(write.map(|(word, value)| Step::Write(word, value)));
        }
        for () in free {
            self.steps
                .push_back(Step::Write(SHORTCUT, Shortcut::FREE.0));
        }
    }

    /// As `Tables::adopt_shortcuts`, where the map has what the last agent meant to write.
    fn adopt(&mut self) {
        self.steps.clear();
        self.renewal = Renewal::default();
        let shortcut = self.shortcut();
        let set = |to: Shortcut| Step::Write(SHORTCUT, to.0);
        match self.owner {
            Some(number) if self.is_of(number) => {
                let lead = Shortcut::to(&sought(number), self.site);
                self.steps.extend([set(shortcut.closed()), set(lead)]);
            }
            _ if self.is_free() => self.owner = None,
            _ => {
                self.owner = None;
                self.steps.extend([set(shortcut.leaving()), Step::Removed]);
            }
        }
    }
}

fn choice() -> impl Strategy<Value = Choice> {
    let order = Just([0, 1, SHORTCUT]).prop_shuffle();
    prop_oneof![
        4 => (0..CPUS, 0..2_u8, order).prop_map(|(cpu, wanted, order)| Choice::Begin(cpu, wanted, order)),
        4 => (0..CPUS, 1..=WORDS + 1).prop_map(|(cpu, steps)| Choice::Program(cpu, steps)),
        8 => (1..6_usize).prop_map(Choice::Agent),
        4 => (0..2_u8, any::<bool>()).prop_map(|(number, remove)| Choice::Order(number, remove)),
        8 => Just(Choice::Turn),
        1 => Just(Choice::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Whatever order a program reads the words in, whoever goes on when, and whenever the agent is
    /// killed: where it goes is where the shortcut of its own address led while it ran.
    #[test]
    fn nobody_goes_where_the_other_address_is(choices in vec(choice(), 0..300)) {
        let mut world = World::new();
        for choice in choices {
            world.go_on(choice)?;
        }
    }
}

/// The shortcut is used, comes free when nobody runs any more, and not before.
#[test]
fn two_ends_of_programs_free_a_shortcut() {
    let mut world = World::new();
    let mut go_on = |choices: &[Choice]| {
        for choice in choices {
            world.go_on(choice.clone()).expect("no mixture");
        }
        (world.passed, world.is_free())
    };
    let agent = [Choice::Agent(3)];
    let begin = Choice::Begin(0, 0, [0, 1, SHORTCUT]);
    let program = [Choice::Program(0, 4)];
    go_on(&[Choice::Order(0, false)]);
    go_on(&agent);
    go_on(std::slice::from_ref(&begin));
    assert_eq!(go_on(&program), (1, false));
    // One that runs meanwhile.
    go_on(&[begin, Choice::Order(0, true)]);
    for _ in 0..4 {
        go_on(&agent);
        go_on(&[Choice::Turn]);
    }
    assert_eq!(go_on(&agent), (1, false));
    go_on(&program);
    for _ in 0..4 {
        go_on(&[Choice::Turn]);
        go_on(&agent);
    }
    assert_eq!(go_on(&[]), (1, true));
}

/// One that begins after the address is gone may still read whose the shortcut was. It is nobody else's
/// before that program has ended, too.
#[test]
fn who_has_read_the_old_address_finds_no_new_site() {
    let mut world = World::new();
    let mut go_on = |choices: &[Choice]| {
        for choice in choices {
            world.go_on(choice.clone()).expect("no mixture");
        }
        world.leads(1)
    };
    let agent = Choice::Agent(4);
    let bind = |number| [Choice::Order(number, false), agent.clone()];
    let turn = [Choice::Turn, agent.clone()];
    go_on(&bind(0));
    go_on(&[Choice::Order(0, true), agent.clone()]);
    go_on(&turn);
    go_on(&[Choice::Begin(0, 0, [0, 1, SHORTCUT]), Choice::Program(0, 2)]);
    for _ in 0..4 {
        go_on(&turn);
        assert_eq!(go_on(&bind(1)), None);
    }
    go_on(&[Choice::Program(0, 2)]);
    go_on(&turn);
    assert!(go_on(&bind(1)).is_some());
}
