//! Telling a controller of announcements over HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{api::Notification, gateway::HttpUrl};

/// Notifications that wait while the controller is slow.
const QUEUE: usize = 256;
/// How long a controller may take for one.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often failures are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What became of the notifications.
#[derive(Debug, Default)]
pub struct Outcome {
    sent: AtomicU64,
    failed: AtomicU64,
}

/// A thread that posts notifications. It ends when this is dropped and the queue is empty.
pub struct Notifier {
    queue: SyncSender<Notification>,
    outcome: Arc<Outcome>,
}

impl Notifier {
    /// Starts the thread. It is in the network namespace of the one that starts it.
    pub fn start(url: HttpUrl) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(QUEUE);
        let outcome = Arc::<Outcome>::default();
        let theirs = Arc::clone(&outcome);
        thread::Builder::new()
            .name("notifier".to_owned())
            .spawn(move || post_all(&url, &waiting, &theirs))?;
        Ok(Self { queue, outcome })
    }

    /// Has a notification posted. It fails at once where too many wait.
    pub fn tell(&self, notification: Notification) {
        if self.queue.try_send(notification).is_err() {
            self.outcome.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were sent and how many failed since this was asked last.
    pub fn outcome(&self) -> (u64, u64) {
        let Outcome { sent, failed } = &*self.outcome;
        (
            sent.swap(0, Ordering::Relaxed),
            failed.swap(0, Ordering::Relaxed),
        )
    }
}

fn post_all(url: &HttpUrl, waiting: &Receiver<Notification>, outcome: &Outcome) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut logged: Option<Instant> = None;
    for notification in waiting {
        let posted = post(&agent, url, &notification);
        match posted {
            Ok(()) => {
                outcome.sent.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                outcome.failed.fetch_add(1, Ordering::Relaxed);
                if logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
                    logged = Some(Instant::now());
                    let url = url.as_str();
                    tracing::warn!(%error, url, "cannot notify of an announcement");
                }
            }
        }
    }
}

fn post(
    agent: &ureq::Agent,
    url: &HttpUrl,
    notification: &Notification,
) -> Result<(), Box<dyn std::error::Error>> {
    let body = serde_json::to_vec(notification)?;
    let mut response = agent
        .post(url.as_str())
        .content_type("application/json")
        .send(&body)?;
    // Read to its end, so that the connection can be used again.
    response.body_mut().read_to_vec()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{IpAddr, TcpListener},
        time::SystemTime,
    };

    use super::*;
    use crate::types::MacAddress;

    fn notification() -> Notification {
        Notification {
            time: SystemTime::UNIX_EPOCH,
            gateway: 7,
            announcement: "rarp".to_owned(),
            mac: MacAddress([2; 6]),
            address: IpAddr::from([10, 0, 0, 5]),
        }
    }

    fn wait_for(notifier: &Notifier, wanted: (u64, u64)) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut sum = (0, 0);
        while sum != wanted {
            let (sent, failed) = notifier.outcome();
            sum = (sum.0 + sent, sum.1 + failed);
            assert!(Instant::now() < deadline, "{sum:?} instead of {wanted:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_controller_hears_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let url = format!("http://{address}/moved").parse().expect("a URL");
        let notifier = Notifier::start(url).expect("a thread");
        notifier.tell(notification());
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.ends_with(b"}") {
            let length = stream.read(&mut buffer).expect("a request");
            request.extend_from_slice(&buffer[..length]);
        }
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .expect("an answer");
        let request = String::from_utf8(request).expect("text");
        assert!(request.starts_with("POST /moved HTTP/1.1\r\n"), "{request}");
        let (_, body) = request.split_once("\r\n\r\n").expect("a body");
        let read: Notification = serde_json::from_str(body).expect("JSON");
        assert_eq!(read, notification());
        wait_for(&notifier, (1, 0));
    }

    #[test]
    fn nobody_there_and_too_many_waiting_are_counted() {
        // A port that was free a moment ago, on which nobody listens.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("an address");
        let url = format!("http://{address}").parse().expect("a URL");
        let notifier = Notifier::start(url).expect("a thread");
        let many = QUEUE as u64 * 2;
        (0..many).for_each(|_| notifier.tell(notification()));
        wait_for(&notifier, (0, many));
    }
}
