//! Names that people give: of an instance, a site, a network.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be the name of {}: it {why}; use {}", rule.bearer, rule.shape)]
pub struct NameError {
    rule: &'static Rule,
    text: String,
    why: String,
}

/// What a name may look like.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    /// Who bears the name, with an article.
    bearer: &'static str,
    max: usize,
    dots: bool,
    /// `max` and `dots` in words.
    shape: &'static str,
}

/// An instance's name is a directory of the BPF file system, and the kernel
/// keeps every name with a dot there for itself (`bpf_lookup` says EPERM).
static INSTANCE: Rule = Rule {
    bearer: "an instance",
    max: 32,
    dots: false,
    shape: "1 to 32 letters, digits, '_' or '-'",
};

static SITE: Rule = Rule {
    bearer: "a site",
    max: 31,
    dots: true,
    shape: "1 to 31 letters, digits, '.', '_' or '-'",
};

static NETWORK: Rule = Rule {
    bearer: "a network",
    max: 31,
    dots: true,
    shape: "1 to 31 letters, digits, '.', '_' or '-'",
};

impl Rule {
    fn check(&'static self, text: &str) -> Result<(), NameError> {
        let allowed = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || (c == '.' && self.dots)
        };
        let why = if text.is_empty() {
            "is empty".to_owned()
        } else if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
            format!("has {bad:?} in it")
        } else if text.len() > self.max {
            format!("has {} characters", text.len())
        } else {
            return Ok(());
        };
        Err(NameError {
            rule: self,
            text: text.to_owned(),
            why,
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $rule.check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// One running switch on this box. It names the directory of its pins and
    /// its control socket.
    InstanceName, INSTANCE
}

name! {
    /// A data centre, as the operator calls it.
    SiteName, SITE
}

name! {
    /// An isolated domain: one client attachment and its sites.
    NetworkName, NETWORK
}

impl Default for InstanceName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl Default for NetworkName {
    /// The network that the command line's flags make.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_say_which_rule_broke() {
        let error = |text: &str| text.parse::<SiteName>().expect_err(text).to_string();
        assert_eq!(
            error(""),
            "\"\" cannot be the name of a site: it is empty; use 1 to 31 letters, digits, '.', '_' or '-'"
        );
        assert!(error("a/b").contains("it has '/' in it"));
        assert!(error("dc é").contains("it has ' ' in it"));
        assert!(error(&"x".repeat(32)).contains("it has 32 characters"));
    }

    #[test]
    fn an_instance_has_no_dots() {
        let error = "a.b"
            .parse::<InstanceName>()
            .expect_err("a dot")
            .to_string();
        assert_eq!(
            error,
            "\"a.b\" cannot be the name of an instance: it has '.' in it; use 1 to 32 letters, digits, '_' or '-'"
        );
        assert!("..".parse::<InstanceName>().is_err());
        assert!("a.b".parse::<NetworkName>().is_ok());
    }

    #[test]
    fn defaults_are_names() {
        assert_eq!(
            InstanceName::default().as_str().parse(),
            Ok(InstanceName::default())
        );
        assert_eq!(
            NetworkName::default().as_str().parse(),
            Ok(NetworkName::default())
        );
    }

    #[test]
    fn json_takes_the_same_door() {
        assert!(serde_json::from_str::<SiteName>("\"a b\"").is_err());
        let name: SiteName = serde_json::from_str("\"dc1\"").expect("a name");
        assert_eq!(serde_json::to_string(&name).expect("JSON"), "\"dc1\"");
    }

    proptest! {
        #[test]
        fn round_trip(text in "[A-Za-z0-9._-]{1,31}") {
            let name: SiteName = text.parse().expect("a name");
            prop_assert_eq!(name.to_string(), text);
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = text.parse::<InstanceName>();
        }
    }
}
