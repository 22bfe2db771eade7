//! The name of a network interface.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest name the kernel gives an interface: `IFNAMSIZ` less the final 0.
const MAX: usize = 15;

/// A name that a network interface can have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortName(String);

/// A text that no network interface can be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be a network interface's name: {rule}")]
pub struct PortError {
    text: String,
    /// Which rule broke.
    pub rule: PortRule,
}

/// The kernel's rules for an interface's name (`dev_valid_name`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortRule {
    /// No name at all.
    #[error("it is empty")]
    Empty,
    /// Longer than the kernel's buffer.
    #[error("it has {0} bytes, and the kernel allows 15; `ip -br link` lists the names")]
    TooLong(usize),
    /// One of the two names that a directory has already.
    #[error("\".\" and \"..\" are directories")]
    Dots,
    /// A character that the kernel refuses.
    #[error("it has {0:?} in it, and '/', ':', spaces and control characters are not allowed")]
    Character(char),
}

impl PortName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), PortRule> {
    let refused = |c: char| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control();
    match text {
        "" => Err(PortRule::Empty),
        "." | ".." => Err(PortRule::Dots),
        _ if text.len() > MAX => Err(PortRule::TooLong(text.len())),
        _ => text
            .chars()
            .find(|c| refused(*c))
            .map_or(Ok(()), |c| Err(PortRule::Character(c))),
    }
}

impl TryFrom<String> for PortName {
    type Error = PortError;

    fn try_from(text: String) -> Result<Self, PortError> {
        match check(&text) {
            Ok(()) => Ok(Self(text)),
            Err(rule) => Err(PortError { text, rule }),
        }
    }
}

impl FromStr for PortName {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        text.to_owned().try_into()
    }
}

impl From<PortName> for String {
    fn from(name: PortName) -> Self {
        name.0
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> PortRule {
        text.parse::<PortName>().expect_err(text).rule
    }

    #[test]
    fn each_rule_is_named() {
        assert_eq!(rule(""), PortRule::Empty);
        assert_eq!(rule(".."), PortRule::Dots);
        assert_eq!(rule("abcdefghijklmnop"), PortRule::TooLong(16));
        assert_eq!(rule("ééééééé\u{e9}"), PortRule::TooLong(16));
        assert_eq!(rule("a/b"), PortRule::Character('/'));
        assert_eq!(rule("a:1"), PortRule::Character(':'));
        assert_eq!(rule("a b"), PortRule::Character(' '));
        assert_eq!(rule("a\0"), PortRule::Character('\0'));
    }

    #[test]
    fn real_names_pass() {
        for name in [
            "lo",
            "eth0",
            "eth0.100",
            "enp0s31f6",
            "veth-1@x",
            "abcdefghijklmno",
            "a=b",
        ] {
            assert_eq!(name.parse::<PortName>().expect(name).as_str(), name);
        }
    }

    #[test]
    fn json_takes_the_same_door() {
        assert!(serde_json::from_str::<PortName>("\"a/b\"").is_err());
        assert_eq!(
            serde_json::from_str::<PortName>("\"t0\"")
                .expect("a name")
                .as_str(),
            "t0"
        );
    }

    proptest! {
        #[test]
        fn what_passes_fits_the_kernel(text in ".*") {
            if let Ok(name) = text.parse::<PortName>() {
                prop_assert!((1..=MAX).contains(&name.as_str().len()));
                prop_assert!(!name.as_str().bytes().any(|b| matches!(b, 0 | b'/' | b':' | b' ')));
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
