//! The gateway's thread: hears, asks, and tells the switch.

use std::{net::IpAddr, sync::Arc};

use aya::maps::{MapData, MapError, RingBuf};
use nix::poll::PollTimeout;
use switch_ebpf::{
    abi::gateway::{
        KIND_ADDRESS, KIND_ANNOUNCEMENT, KIND_ANSWER, Notice, SIDE_LAN, SIDE_TRUNK, Station,
        StationAddress, agent,
    },
    frame::Address,
    learning_packet::{Announcement, LearningPacket},
};

use super::{
    GatewayError, Letter,
    heard::{self, Heard},
    housekeeping::Housekeeping,
    log::Log,
    neighbours::Neighbours,
    notify::Notifier,
    questions::{Question, Questions},
    schedule::{News, Schedule, Started},
    sequence::Sequence,
    stations::{Known, Stations},
    tables::{GatewayTables, announcement_name},
    way::Way,
};
use crate::{
    api::{GatewayEvent, GatewayEventKind, Notification},
    frames,
    learning_key::Key,
    types::MacAddress,
    worker::{Inbox, now_ns},
};

/// Notices read before something else gets its turn.
const TURN: usize = 256;
/// From this attempt on a question is asked from nobody's address.
const FROM_NOBODY: usize = 2;

/// The thread, and all that it works with.
pub struct Announcer {
    pub(super) id: u32,
    pub(super) tables: GatewayTables,
    pub(super) notices: RingBuf<MapData>,
    pub(super) stations: Stations,
    pub(super) neighbours: Neighbours,
    pub(super) sequence: Sequence,
    pub(super) key: Option<Key>,
    pub(super) notifier: Option<Notifier>,
    pub(super) log: Arc<Log>,
    pub(super) schedule: Schedule,
    pub(super) questions: Questions,
    pub(super) housekeeping: Housekeeping,
    pub(super) lan: Option<Way>,
    pub(super) trunk: Option<Way>,
}

impl Announcer {
    /// Takes over what a former run has heard.
    pub(super) fn adopt(&mut self) -> Result<(), MapError> {
        for entry in self.tables.addresses() {
            self.stations.add(&entry?.0);
        }
        Ok(())
    }

    /// Works until it is stopped.
    pub(super) fn run(&mut self, inbox: &Inbox<Letter>) -> Result<(), GatewayError> {
        let now = || {
            now_ns().map_err(|source| GatewayError::System {
                what: "read the clock",
                source,
            })
        };
        loop {
            let timeout = self.timeout(now()?);
            let waited = inbox.wait([&self.notices], timeout);
            let [readable] = waited.map_err(|source| GatewayError::System {
                what: "wait for notices",
                source,
            })?;
            while let Some(letter) = inbox.letter() {
                self.plug(letter);
            }
            if readable {
                self.read()?;
            }
            let now_ns = now()?;
            self.ask(now_ns)?;
            self.look_up(now_ns)?;
            self.tell(now_ns)?;
            self.keep_house(now_ns)?;
            if inbox.is_stopped() {
                return Ok(());
            }
        }
    }

    /// Until something is due, at most until the house is to be kept.
    fn timeout(&self, now_ns: u64) -> PollTimeout {
        let next_ns = [
            self.schedule.next_ns(),
            self.questions.next_ns(),
            self.neighbours.next_ns(),
            Some(self.housekeeping.next_ns()),
        ];
        let next_ns = next_ns.into_iter().flatten().min().unwrap_or(now_ns);
        let wait_ms = next_ns.saturating_sub(now_ns).div_ceil(1_000_000);
        PollTimeout::try_from(wait_ms).unwrap_or(PollTimeout::MAX)
    }

    /// The ports are others now.
    fn plug(&mut self, Letter { lan, trunk }: Letter) {
        (self.lan, self.trunk) = (lan, trunk);
        self.neighbours.doubt();
    }

    /// Reads notices, to the end of the ring or of its turn.
    fn read(&mut self) -> Result<(), GatewayError> {
        // Copied out, so that the ring has room again before the frame is worked on.
        let mut record = Vec::new();
        for _ in 0..TURN {
            let Some(item) = self.notices.next() else {
                break;
            };
            record.clear();
            record.extend_from_slice(&item);
            drop(item);
            if let Some((notice, frame)) = Notice::split(&record) {
                self.hear(&notice, frame)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, notice: &Notice, frame: &[u8]) -> Result<(), GatewayError> {
        // When it was heard, however late it is read.
        let now_ns = notice.time_ns;
        let station = notice.about.station;
        match notice.kind {
            KIND_ADDRESS => {
                self.stations.add(&notice.about);
                if station.side == SIDE_LAN {
                    self.answered(MacAddress(station.mac), notice.about.address, now_ns)?;
                }
            }
            KIND_ANSWER => {
                if let Some((mac, address)) = heard::answer(frame) {
                    if station.side == SIDE_TRUNK {
                        self.neighbours.answered(mac, address, now_ns);
                    } else if self.answered(mac, address, now_ns)? {
                        self.keep(mac, address, now_ns);
                    }
                }
            }
            KIND_ANNOUNCEMENT => match heard::announcement(frame) {
                Some(heard) => self.announced(&heard, now_ns)?,
                None => self.tables.tally.add_agent(agent::MALFORMED, 1)?,
            },
            _ => {}
        }
        Ok(())
    }

    fn announced(&mut self, heard: &Heard, now_ns: u64) -> Result<(), GatewayError> {
        let index = agent::ANNOUNCED + u32::from(u8::from(heard.announcement));
        self.tables.tally.add_agent(index, 1)?;
        let Heard {
            mac, announcement, ..
        } = *heard;
        if let Some(address) = heard.address {
            self.keep(mac, address, now_ns);
            let news = News {
                address,
                mac,
                announcement,
            };
            return self.start(news, now_ns);
        }
        let Known { has, may_have } = self.stations.of(mac);
        for address in &has {
            let news = News {
                address: *address,
                mac,
                announcement,
            };
            self.start(news, now_ns)?;
        }
        if !may_have.is_empty() {
            if !self.questions.ask(mac, may_have, now_ns) {
                self.tables.tally.add_agent(agent::OVERLOADED, 1)?;
            }
        } else if has.is_empty() {
            self.unanswered(mac, "no address is known for it", now_ns)?;
        }
        Ok(())
    }

    /// A station of the LAN has an address: whether it was asked for that.
    fn answered(
        &mut self,
        mac: MacAddress,
        address: Address,
        now_ns: u64,
    ) -> Result<bool, GatewayError> {
        if !self.questions.answered(mac, address) {
            return Ok(false);
        }
        self.tables.tally.add_agent(agent::ANSWERED, 1)?;
        self.log.event(GatewayEvent {
            mac: Some(mac),
            address: Some(address.into()),
            ..GatewayEvent::now(GatewayEventKind::Answered)
        });
        let news = News {
            address,
            mac,
            announcement: Announcement::Rarp,
        };
        self.start(news, now_ns)?;
        Ok(true)
    }

    fn unanswered(&mut self, mac: MacAddress, why: &str, now_ns: u64) -> Result<(), GatewayError> {
        self.tables.tally.add_agent(agent::UNANSWERED, 1)?;
        self.log.rarely(now_ns, mac, || GatewayEvent {
            mac: Some(mac),
            announcement: Some(announcement_name(Announcement::Rarp).to_owned()),
            reason: Some(why.to_owned()),
            ..GatewayEvent::now(GatewayEventKind::Unanswered)
        });
        Ok(())
    }

    /// Keeps an address of a station of the LAN, also for the next run. Where there is no room it is
    /// told all the same.
    fn keep(&mut self, mac: MacAddress, address: Address, now_ns: u64) {
        let station = Station {
            mac: mac.0,
            side: SIDE_LAN,
        };
        let about = StationAddress { station, address };
        if self.stations.add(&about) {
            let count = self.stations.count(&station);
            if !self.tables.keep_address(&about, now_ns, count) {
                tracing::debug!(%mac, "no room to keep an address");
            }
        }
    }

    /// Has the switch told of a VM's address, and whoever else is told.
    fn start(&mut self, news: News, now_ns: u64) -> Result<(), GatewayError> {
        match self.schedule.start(news, now_ns) {
            Started::Running => return Ok(()),
            Started::Full => return Ok(self.tables.tally.add_agent(agent::OVERLOADED, 1)?),
            Started::New => {}
        }
        let News {
            address,
            mac,
            announcement,
        } = news;
        let address = IpAddr::from(address);
        let announcement = announcement_name(announcement).to_owned();
        let event = GatewayEvent {
            mac: Some(mac),
            address: Some(address),
            announcement: Some(announcement.clone()),
            ..GatewayEvent::now(GatewayEventKind::Announced)
        };
        if let Some(notifier) = &self.notifier {
            notifier.tell(Notification {
                time: event.time,
                gateway: self.id,
                announcement,
                mac,
                address,
            });
        }
        self.log.event(event);
        if !self.neighbours.is_empty() && self.neighbours.of_family(address).next().is_none() {
            self.tables.tally.add_agent(agent::NO_DESTINATION, 1)?;
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            self.log.rarely(now_ns, family, || GatewayEvent {
                mac: Some(mac),
                address: Some(address),
                reason: Some(format!("no --announce-to is an {family} address")),
                ..GatewayEvent::now(GatewayEventKind::NoDestination)
            });
        }
        Ok(())
    }

    /// Asks stations of the LAN which addresses they have.
    fn ask(&mut self, now_ns: u64) -> Result<(), GatewayError> {
        for question in self.questions.due(now_ns) {
            let Question {
                mac,
                address,
                attempt,
            } = question;
            let Some(way) = &mut self.lan else { continue };
            let from_nobody = attempt >= FROM_NOBODY;
            let frame = frames::question(way.mac, address.into(), Some(mac), from_nobody);
            let sent = frame.map_or(Err(None), |frame| way.send(&frame));
            match sent {
                Ok(bytes) => {
                    self.tables.count_sent(way.traffic, bytes)?;
                    self.tables.tally.add_agent(agent::ASKED, 1)?;
                }
                Err(error) => self.log.send_failed(now_ns, "a question", error),
            }
            if attempt == 0 {
                self.log.event(GatewayEvent {
                    mac: Some(mac),
                    address: Some(address.into()),
                    ..GatewayEvent::now(GatewayEventKind::Asked)
                });
            }
        }
        for mac in self.questions.given_up(now_ns) {
            self.unanswered(
                mac,
                "it answers for none of the addresses it may have",
                now_ns,
            )?;
        }
        Ok(())
    }

    /// Looks up the MACs of destinations.
    fn look_up(&mut self, now_ns: u64) -> Result<(), GatewayError> {
        for (address, known) in self.neighbours.due(now_ns) {
            let Some(way) = &mut self.trunk else { continue };
            let frame = frames::question(way.mac, address, known, false);
            match frame.map_or(Err(None), |frame| way.send(&frame)) {
                Ok(bytes) => self.tables.count_sent(way.traffic, bytes)?,
                Err(error) => self.log.send_failed(now_ns, "a question", error),
            }
        }
        Ok(())
    }

    /// Sends learning packets.
    fn tell(&mut self, now_ns: u64) -> Result<(), GatewayError> {
        for news in self.schedule.due(now_ns) {
            let source = IpAddr::from(news.address);
            for to in self.neighbours.of_family(source) {
                let (number, written) = self.sequence.next();
                if let Err(error) = written {
                    self.log.warn_rarely(now_ns, "sequence", &error);
                }
                let packet = LearningPacket::new(news.announcement, self.id, number, news.mac.0);
                let packet = match &self.key {
                    Some(key) => key.sign(packet, &news.address),
                    None => packet,
                };
                let sent = match (&mut self.trunk, frames::learning(&packet, source, to)) {
                    (Some(way), Some(frame)) => way.send(&frame).map(|bytes| (way.traffic, bytes)),
                    _ => Err(None),
                };
                match sent {
                    Ok((traffic, bytes)) => {
                        self.tables.count_sent(traffic, bytes)?;
                        self.tables.tally.add_agent(agent::SENT, 1)?;
                    }
                    Err(error) => {
                        self.tables.tally.add_agent(agent::FAILED, 1)?;
                        self.log.send_failed(now_ns, "learning packets", error);
                    }
                }
            }
        }
        Ok(())
    }
}
