//! The gateway.

mod address_file;
pub mod destination;
mod frames;
mod heard;
mod neighbours;
mod questions;
mod schedule;
mod sequence;
mod stations;
