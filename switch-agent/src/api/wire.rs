//! What goes over the control socket: one request and its responses, each a
//! line of JSON.

use serde::{Deserialize, Serialize};

use super::{AnyEvent, AnyStats, Explanation, Flow};
use crate::types::{InstanceName, SiteName, VmAddress};

/// A request with the instance it is meant for, so that a socket in another
/// one's place is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The instance that is meant.
    pub instance: InstanceName,
    /// What it shall do.
    #[serde(flatten)]
    pub request: Request,
}

/// What can be asked of a running instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// The flow table.
    Flows,
    /// The counters.
    Stats,
    /// Change a binding.
    Order {
        /// How.
        order: Order,
    },
    /// Why an address is where it is.
    Explain {
        /// The address, bound or not.
        address: VmAddress,
    },
    /// What happened.
    Events {
        /// Whether to go on as more happens.
        follow: bool,
    },
}

/// What an operator can have done to a binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Order {
    /// Put an address at a site.
    Bind {
        /// The address.
        address: VmAddress,
        /// The site.
        site: SiteName,
        /// Whether it stays there whatever is heard.
        pinned: bool,
    },
    /// Move a bound address.
    Move {
        /// The address.
        address: VmAddress,
        /// The site it goes to.
        site: SiteName,
    },
    /// Forget an address.
    Unbind {
        /// The address.
        address: VmAddress,
    },
    /// End a quarantine.
    Release {
        /// The address.
        address: VmAddress,
    },
}

/// One line of an answer. `Done` or `Error` is the last; without it the answer
/// was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// A binding of the flow table.
    Flow {
        /// The binding.
        flow: Box<Flow>,
    },
    /// The counters.
    Stats {
        /// The counters.
        stats: AnyStats,
    },
    /// Why an address is where it is.
    Explanation {
        /// Why.
        explanation: Box<Explanation>,
    },
    /// Something that happened.
    Event {
        /// What.
        event: AnyEvent,
    },
    /// The reader was too slow: so many events are not shown.
    Missed {
        /// How many.
        events: u64,
    },
    /// It is done, or was all.
    Done,
    /// It could not be done.
    Error {
        /// Why not.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_back() {
        let order = Order::Bind {
            address: "10.0.0.5".parse().expect("an address"),
            site: "dc1".parse().expect("a site"),
            pinned: true,
        };
        let envelope = Envelope {
            instance: InstanceName::default(),
            request: Request::Order { order },
        };
        let json = serde_json::to_string(&envelope).expect("JSON");
        assert_eq!(
            json,
            r#"{"instance":"default","request":"order","order":{"verb":"bind","address":"10.0.0.5","site":"dc1","pinned":true}}"#
        );
        assert_eq!(
            serde_json::from_str::<Envelope>(&json).expect("a request"),
            envelope
        );
    }

    #[test]
    fn wrong_values_are_refused() {
        let refused = |json: &str| {
            serde_json::from_str::<Envelope>(json)
                .expect_err(json)
                .to_string()
        };
        assert!(
            refused(
                r#"{"instance":"default","request":"order","order":{"verb":"unbind","address":"127.0.0.1"}}"#
            )
            .contains("loopback")
        );
        assert!(refused(r#"{"instance":"a/b","request":"flows"}"#).contains("name of an instance"));
        assert!(
            refused(r#"{"instance":"default","request":"reboot"}"#).contains("unknown variant")
        );
    }
}
