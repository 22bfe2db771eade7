//! The gateway's options.

use std::path::PathBuf;

use clap::Args;

use crate::{
    config::{ClientPort, OnExit, XdpMode},
    gateway::{
        DIRECTORY, Destination, GatewayConfig, GatewayConfigError, GatewaySettings, HttpUrl, Mode,
        Trunk,
    },
};

/// The gateway's ports, and whom it tells.
#[derive(Debug, Clone, Args)]
pub struct GatewayArgs {
    /// The port to the data centre's LAN, untagged or with a VLAN; PORT:VLAN/802.1ad for a service tag
    #[arg(long, value_name = "PORT[:VLAN]")]
    pub lan: ClientPort,

    /// The port and VLAN to the switch
    #[arg(long, value_name = "PORT:VLAN")]
    pub trunk: Trunk,

    /// A node or group on the client's side that learning packets are addressed to, of each family
    /// that VMs have; may be repeated. A node's MAC is looked up unless it is given
    #[arg(
        long = "announce-to",
        value_name = "IP[@MAC]",
        required_unless_present = "notify"
    )]
    pub destinations: Vec<Destination>,

    /// Whether frames are carried as well
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,

    /// The key to sign learning packets with, the same as the switch's
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// What tells this gateway from others in learning packets [default: from the trunk port's MAC]
    #[arg(long, value_name = "N")]
    pub gateway_id: Option<u32>,

    /// Addresses that a MAC may have, one MAC with its addresses a line: these are asked for when a
    /// VM announces itself by RARP, which carries no address
    #[arg(long, value_name = "FILE")]
    pub addresses: Option<PathBuf>,

    /// Post each announcement to this URL as JSON
    #[arg(long, value_name = "URL")]
    pub notify: Option<HttpUrl>,

    /// Where the sequence numbers of learning packets are kept
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    pub state_dir: PathBuf,

    /// How the datapath is attached to the ports
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub xdp_mode: XdpMode,

    /// What stays on SIGINT or SIGTERM
    #[arg(long, value_enum, default_value_t)]
    pub on_exit: OnExit,

    /// Only say what would stop a gateway with these options or slow it down; changes nothing
    #[arg(long)]
    pub check: bool,
}

impl GatewayArgs {
    /// The configuration that the options make up. An error is wrong usage.
    pub fn config(self) -> Result<GatewayConfig, GatewayConfigError> {
        GatewayConfig::new(GatewaySettings {
            lan: self.lan,
            trunk: self.trunk,
            mode: self.mode,
            destinations: self.destinations,
            key_file: self.key_file,
            id: self.gateway_id,
            addresses: self.addresses,
            notify: self.notify,
            state_dir: self.state_dir,
            xdp_mode: self.xdp_mode,
            on_exit: self.on_exit,
        })
    }
}
