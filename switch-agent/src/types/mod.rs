//! The values the switch is told about and tells about. Each can only be made
//! by a constructor that checks it, and text, command line and JSON all come in
//! through that same door.

mod address;
mod mac;
mod name;
mod port;
mod vlan;

pub use address::{AddressError, AddressRule, VmAddress};
pub use mac::{MacAddress, MacError};
pub use name::{InstanceName, NameError, NetworkName, SiteName};
pub use port::{PortError, PortName, PortRule};
pub use vlan::{Tpid, TpidError, Vid, VidError};
