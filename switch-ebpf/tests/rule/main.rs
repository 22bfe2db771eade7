//! The learning rule: row by row, and what holds whatever happens.

mod properties;
mod rows;
mod truth;
mod world;
