//! What forwards between the two ports.

mod bridge;
mod open_vswitch;
mod redirect;
mod switch;

pub use bridge::Bridge;
pub use open_vswitch::OpenVswitch;
pub use redirect::Redirect;
pub use switch::{Switch, restart, start_on};
