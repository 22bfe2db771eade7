//! What the XDP programs have in common. For the BPF target only.

mod atomic;
mod attachment;
pub mod count;
mod packet;

pub use atomic::Shared;
pub use attachment::attachment;
pub use packet::{Packet, length, retag};
