//! Plugging ports in: at the start, and when one comes back or changes.

use std::time::{Duration, Instant};

use super::{
    Gateway, GatewayError, Letter,
    config::{GatewayConfig, Mode},
    tables,
    way::Way,
};
use crate::{
    api::{GatewayEvent, GatewayEventKind},
    instance::{self, InstanceError, check_ports},
    net::link::{self, Link},
    ports::{Port, PortRole},
    types::{PortName, Tpid},
};

/// How long to wait before a port that could not be used is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What is asked of each port.
pub fn wanted_ports(config: &GatewayConfig) -> Vec<(PortName, Port)> {
    let (lan, trunk) = (&config.lan.port, &config.trunk.port);
    let port = |name: &PortName, role| {
        let name = name.clone();
        let port = Port {
            name: name.to_string(),
            role,
        };
        (name, port)
    };
    let role = |role| match config.mode {
        Mode::Forward => role,
        Mode::Snoop => PortRole::Listener,
    };
    let as_trunk = role(PortRole::Trunk {
        clients: vec![lan.to_string()],
        service_tag: config.trunk.tpid != Tpid::default(),
    });
    let mut ports = vec![port(trunk, as_trunk)];
    if lan != trunk {
        ports.insert(0, port(lan, role(PortRole::Client)));
    }
    ports
}

impl Gateway {
    /// Makes ports ready, has the datapath use them and no others, and gives the thread its ways out.
    pub(super) fn plug(&mut self, ports: &[(PortName, Port)]) -> Result<(), GatewayError> {
        let earlier = self.state.read(&self.instance);
        let earlier = earlier.map_err(InstanceError::from)?.unwrap_or_default();
        let (changes, links) = instance::make_ready(ports, &earlier, &self.state)?;
        let unattached: Vec<_> = links
            .iter()
            .map(|(name, link)| (name.clone(), link.clone(), 0))
            .collect();
        // Before the program runs at a new port, so that it knows what to do there.
        self.tables.apply(&self.config, &unattached, &self.pins)?;
        let mode = self.config.xdp_mode;
        let attached = self.programs.attach_all(&self.pins, links, mode)?;
        if self.config.mode == Mode::Forward {
            // A gateway that runs is not stopped for that.
            let runs = self.programs.adopted || !self.changes.is_empty();
            instance::check_redirects(&attached, runs)?;
        }
        self.changes = changes;
        self.pins.keep_links(ports.iter().map(|(name, _)| name))?;
        self.ports = self.tables.apply(&self.config, &attached, &self.pins)?;
        let way = |name: &PortName, at, traffic| {
            let port = self.ports.iter().find(|port| port.name == *name)?;
            Way::open(port, at, traffic)
                .inspect_err(|error| tracing::error!("{error}"))
                .ok()
        };
        let (lan, trunk) = (&self.config.lan, self.config.trunk.attachment());
        let letter = Letter {
            lan: way(&lan.port, lan, tables::LAN_TRAFFIC),
            trunk: way(&trunk.port, &trunk, tables::TRUNK_TRAFFIC),
        };
        // A thread that has ended is seen by `has_failed`.
        let _ = self.handle.send(letter);
        Ok(())
    }

    /// Whether a link is, or may become, one of the ports.
    pub fn concerns(&self, link: &Link) -> bool {
        let is_wanted = |name: &PortName| name.as_str() == link.name;
        is_wanted(&self.config.lan.port)
            || is_wanted(&self.config.trunk.port)
            || self.ports.iter().any(|port| port.link.index == link.index)
    }

    /// Looks at the ports again: uses those that have come back or have changed, and no longer uses
    /// those that are gone.
    pub fn replug(&mut self) {
        let (mut there, mut events, mut changed) = (Vec::new(), Vec::new(), false);
        for (name, port) in wanted_ports(&self.config) {
            let used = self.ports.iter().find(|port| port.name == name);
            let link = link::by_name(name.as_str()).ok();
            let same =
                matches!((used, &link), (Some(used), Some(link)) if used.link.index == link.index);
            match (used, &link) {
                (Some(used), Some(link)) if same => {
                    changed |= used.link.mtu != link.mtu || used.link.mac != link.mac;
                }
                (None, None) => {}
                _ => changed = true,
            }
            if used.is_some() && !same {
                events.push((GatewayEventKind::PortGone, name.clone()));
            }
            if link.is_some() {
                if !same {
                    events.push((GatewayEventKind::PortBack, name.clone()));
                }
                there.push((name, port));
            }
        }
        if !changed {
            return;
        }
        match self.plug_checked(&there) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                let text = error.to_string();
                if self
                    .trouble
                    .as_ref()
                    .is_none_or(|(known, _)| *known != text)
                {
                    tracing::error!("cannot use the ports as they are now: {text}");
                }
                self.trouble = Some((text, Instant::now()));
                events.retain(|(kind, _)| *kind == GatewayEventKind::PortGone);
            }
        }
        for (kind, name) in events {
            self.log.event(GatewayEvent {
                port: Some(name),
                ..GatewayEvent::now(kind)
            });
        }
    }

    /// Says what the datapath has to say, and tries again where a port that is there could not be
    /// used.
    pub fn look_after(&mut self) {
        if let Some(words) = &mut self.words {
            words.flush();
        }
        if self
            .trouble
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() >= RETRY)
        {
            self.replug();
        }
    }

    fn plug_checked(&mut self, ports: &[(PortName, Port)]) -> Result<(), GatewayError> {
        let own = self.pins.programs();
        let problems = check_ports(ports, &own, |warning| tracing::warn!("{warning}"));
        if problems.is_empty() {
            return self.plug(ports);
        }
        // What is there and well goes on, and nothing is sent to where nobody is any more.
        let well: Vec<_> = ports
            .iter()
            .filter(|port| check_ports(std::slice::from_ref(port), &own, drop).is_empty())
            .cloned()
            .collect();
        self.plug(&well)?;
        Err(InstanceError::Ports(problems).into())
    }
}
