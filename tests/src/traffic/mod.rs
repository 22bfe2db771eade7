//! Real traffic between real sockets, and what became of it.

pub mod inbound;
pub mod numbered;
pub mod report;
pub mod responder;
pub mod tcp;
pub mod udp;

pub use inbound::Inbound;
pub use report::UdpReport;
pub use responder::Responder;
pub use tcp::{Download, Transfer};
pub use udp::{UdpReceiver, UdpSender, ping, stream};
