//! What forwards between the two ports.

mod bridge;
mod redirect;
mod switch;

pub use bridge::Bridge;
pub use redirect::Redirect;
pub use switch::Switch;
