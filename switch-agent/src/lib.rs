//! The agent of the switch: everything that is not the XDP programs.
//!
//! [`switch`] puts the parts together; [`learning`] is the controller; [`datapath`] is the kernel's
//! half as seen from here; [`ports`] and [`net`] are about network interfaces; [`control`] is the
//! socket that the commands in [`verbs`] talk to, in the words of [`api`].

pub mod api;
pub mod cli;
pub mod config;
pub mod control;
pub mod datapath;
mod frames;
pub mod gateway;
pub mod instance;
pub mod learning;
pub mod learning_key;
pub mod metrics;
pub mod net;
pub mod ports;
pub mod report;
mod state;
pub mod switch;
pub mod types;
pub mod verbs;
mod worker;
