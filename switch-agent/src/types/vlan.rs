//! A VLAN tag's two halves: its id and its TPID.

use std::{fmt, num::NonZeroU16, str::FromStr};

use serde::{Deserialize, Serialize};

/// A VLAN id that a site or a client can have: 1 to 4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Vid(NonZeroU16);

/// Why a number or a text is not a VLAN id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VidError {
    /// Id 0 only carries a priority.
    #[error("VLAN id 0 names no VLAN, it marks a frame that has a priority only; use 1 to 4094")]
    PriorityOnly,
    /// Id 4095 must not be used on a wire.
    #[error("VLAN id 4095 is reserved by 802.1Q; use 1 to 4094")]
    Reserved,
    /// The field has 12 bits.
    #[error("VLAN id {0} does not exist, the field has 12 bits; use 1 to 4094")]
    TooLarge(u32),
    /// Something else than digits.
    #[error("VLAN id {0:?} is not a number; use 1 to 4094")]
    NotANumber(String),
}

impl Vid {
    /// The id as a number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<u16> for Vid {
    type Error = VidError;

    fn try_from(id: u16) -> Result<Self, VidError> {
        match (NonZeroU16::new(id), id) {
            (None, _) => Err(VidError::PriorityOnly),
            (Some(id), ..4095) => Ok(Self(id)),
            (_, 4095) => Err(VidError::Reserved),
            _ => Err(VidError::TooLarge(id.into())),
        }
    }
}

impl FromStr for Vid {
    type Err = VidError;

    fn from_str(text: &str) -> Result<Self, VidError> {
        let not_a_number = || VidError::NotANumber(text.to_owned());
        // `parse` would also take a leading "+".
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(not_a_number());
        }
        let id: u32 = text.parse().map_err(|_| not_a_number())?;
        u16::try_from(id)
            .map_err(|_| VidError::TooLarge(id))?
            .try_into()
    }
}

impl From<Vid> for u16 {
    fn from(id: Vid) -> Self {
        id.get()
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of tag carries the id.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub enum Tpid {
    /// A customer tag, 0x8100.
    #[default]
    Dot1q,
    /// A service tag ("QinQ"), 0x88a8.
    Dot1ad,
}

/// A text that names no kind of tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of VLAN tag; use 802.1q (0x8100) or 802.1ad (0x88a8)")]
pub struct TpidError(String);

impl Tpid {
    /// The value on the wire.
    pub fn value(self) -> u16 {
        match self {
            Self::Dot1q => 0x8100,
            Self::Dot1ad => 0x88a8,
        }
    }
}

impl TryFrom<u16> for Tpid {
    type Error = TpidError;

    fn try_from(value: u16) -> Result<Self, TpidError> {
        match value {
            0x8100 => Ok(Self::Dot1q),
            0x88a8 => Ok(Self::Dot1ad),
            _ => Err(TpidError(format!("{value:#06x}"))),
        }
    }
}

impl FromStr for Tpid {
    type Err = TpidError;

    fn from_str(text: &str) -> Result<Self, TpidError> {
        match text.to_ascii_lowercase().as_str() {
            "802.1q" | "0x8100" => Ok(Self::Dot1q),
            "802.1ad" | "0x88a8" => Ok(Self::Dot1ad),
            _ => Err(TpidError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Tpid {
    type Error = TpidError;

    fn try_from(text: String) -> Result<Self, TpidError> {
        text.parse()
    }
}

impl From<Tpid> for String {
    fn from(tpid: Tpid) -> Self {
        tpid.to_string()
    }
}

impl fmt::Display for Tpid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dot1q => "802.1q",
            Self::Dot1ad => "802.1ad",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_rule_is_named() {
        let error = |text: &str| text.parse::<Vid>().expect_err(text);
        assert_eq!(error("0"), VidError::PriorityOnly);
        assert_eq!(error("4095"), VidError::Reserved);
        assert_eq!(error("4096"), VidError::TooLarge(4096));
        assert_eq!(error("70000"), VidError::TooLarge(70_000));
        for text in ["", "+1", "-1", "x", "1 ", "99999999999"] {
            assert_eq!(error(text), VidError::NotANumber(text.to_owned()));
        }
    }

    #[test]
    fn tags_have_two_names() {
        for text in ["802.1q", "802.1Q", "0x8100"] {
            assert_eq!(text.parse(), Ok(Tpid::Dot1q));
        }
        for text in ["802.1ad", "0x88a8", "0x88A8"] {
            assert_eq!(text.parse(), Ok(Tpid::Dot1ad));
        }
        assert_eq!(
            "qinq".parse::<Tpid>().expect_err("no tag").to_string(),
            "\"qinq\" is no kind of VLAN tag; use 802.1q (0x8100) or 802.1ad (0x88a8)"
        );
        assert_eq!(Tpid::try_from(Tpid::Dot1ad.value()), Ok(Tpid::Dot1ad));
        assert!(Tpid::try_from(0x9100).is_err());
    }

    #[test]
    fn json_is_a_number_for_the_id_and_a_text_for_the_tpid() {
        assert_eq!(
            serde_json::to_string(&Vid::try_from(7).expect("a VLAN")).expect("JSON"),
            "7"
        );
        assert!(serde_json::from_str::<Vid>("0").is_err());
        assert_eq!(
            serde_json::to_string(&Tpid::Dot1ad).expect("JSON"),
            "\"802.1ad\""
        );
        assert!(serde_json::from_str::<Tpid>("\"x\"").is_err());
    }

    proptest! {
        #[test]
        fn numbers_and_texts_agree(id: u16) {
            let vid = Vid::try_from(id);
            prop_assert_eq!(vid.is_ok(), (1..=4094).contains(&id));
            prop_assert_eq!(id.to_string().parse::<Vid>(), vid.clone());
            if let Ok(vid) = vid {
                prop_assert_eq!(vid.get(), id);
            }
        }
    }
}
