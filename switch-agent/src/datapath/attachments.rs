//! What is attached where, from the configuration into the datapath.
//!
//! Each attachment is in a hash map, and as many as there is room for are in an array too, each in a place
//! that its key names: the datapath looks there without a call.

use aya::maps::{Array, HashMap, MapData, MapError};
use switch_ebpf::abi::{Attachment, AttachmentKey, Place, names};

use super::{DatapathError, Pins, tables::open};

/// The maps of that.
pub struct Attachments {
    all: HashMap<MapData, AttachmentKey, Attachment>,
    places: Array<MapData, Place>,
}

impl Attachments {
    /// Opens what an instance has pinned.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self {
            all: open!(pins, names::ATTACHMENTS, HashMap),
            places: open!(pins, names::PLACES, Array),
        })
    }

    /// Writes these, and then removes all others. One that was there before and is after is never
    /// missing meanwhile.
    pub fn apply(&mut self, wanted: &[(AttachmentKey, Attachment)]) -> Result<(), DatapathError> {
        let error = |verb| move |source: MapError| DatapathError::Map { verb, source };
        let there: Vec<_> = self
            .all
            .keys()
            .collect::<Result<_, _>>()
            .map_err(error("read the attachments"))?;
        for (key, attachment) in wanted {
            self.write(key, attachment)
                .map_err(error("write an attachment"))?;
        }
        for key in there {
            if !wanted.iter().any(|(wanted, _)| *wanted == key) {
                self.remove(&key).map_err(error("remove an attachment"))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, key: &AttachmentKey, attachment: &Attachment) -> Result<(), MapError> {
        self.all.insert(key, attachment, 0)?;
        let index = key.place();
        let there = self.places.get(&index, 0)?.key;
        let free = [*key, AttachmentKey::default(), AttachmentKey::GONE];
        if !free.contains(&there) {
            return Ok(()); // Another's. This one is found in the hash map.
        }
        let place = Place {
            key: there,
            attachment: *attachment,
        };
        // A program that finds the key must find all of the attachment.
        self.places.set(index, place, 0)?;
        self.places.set(index, Place { key: *key, ..place }, 0)
    }

    fn remove(&mut self, key: &AttachmentKey) -> Result<(), MapError> {
        let index = key.place();
        let place = self.places.get(&index, 0)?;
        if place.key == *key {
            // The attachment stays for programs that have found it already. The place does not look
            // unused, for another key that wanted it may be in the hash map.
            let key = AttachmentKey::GONE;
            self.places.set(index, Place { key, ..place }, 0)?;
        }
        self.all.remove(key)
    }
}
