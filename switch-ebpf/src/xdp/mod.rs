//! What the XDP programs have in common. For the BPF target only.

mod atomic;
mod attachment;
pub mod count;
pub mod egress;
pub mod maps;
mod packet;
mod rate;

pub use atomic::Shared;
pub use attachment::attachment;
pub use packet::{Packet, copy, length, retag};
pub use rate::within;
