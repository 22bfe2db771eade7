//! Which guests there are.

use lab::vm::{Card, Habit, Way};

/// A guest, and how it is migrated.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it does.
    pub habit: Habit,
    /// Its network card.
    pub card: Card,
    /// How it is carried over.
    pub way: Way,
    /// That in words.
    pub title: &'static str,
}

/// All of them. The idle ones have gateways that speak for them (second embodiment).
pub const KINDS: [Kind; 5] = [
    Kind {
        habit: Habit::Busy,
        card: Card::Virtio,
        way: Way::PreCopy,
        title: "busy",
    },
    Kind {
        habit: Habit::Busy,
        card: Card::Virtio,
        way: Way::PostCopy,
        title: "busy, post-copy",
    },
    Kind {
        habit: Habit::Idle,
        card: Card::Virtio,
        way: Way::PreCopy,
        title: "idle",
    },
    Kind {
        habit: Habit::Idle,
        card: Card::VirtioSilent,
        way: Way::PreCopy,
        title: "idle, RARP only",
    },
    Kind {
        habit: Habit::Idle,
        card: Card::E1000,
        way: Way::PreCopy,
        title: "idle, e1000",
    },
];
