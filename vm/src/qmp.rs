//! QMP, the protocol that QEMU is operated by: a line of JSON for each command, answer and event.
//! (docs/interop/qmp-spec.rst in QEMU.)

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long an answer may take. A busy machine emulates slowly.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something that happened in a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name, such as `RESUME`.
    pub name: String,
    /// What belongs to it; null where nothing does.
    pub data: Value,
    /// When, by QEMU's own account and to the microsecond.
    pub at: SystemTime,
}

/// A connection to a machine's QMP monitor. Events are kept from its beginning.
#[derive(Debug)]
pub struct Qmp {
    socket: UnixStream,
    answers: Mutex<mpsc::Receiver<Answer>>,
    events: Arc<Events>,
    reader: Option<JoinHandle<()>>,
}

type Answer = std::result::Result<Value, String>;

#[derive(Debug, Default)]
struct Events {
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<Event>,
    closed: bool,
}

impl Qmp {
    /// Takes a fresh connection, and leaves the negotiation mode that it begins in.
    ///
    /// # Errors
    /// When the other side is not a QMP monitor.
    pub fn new(socket: UnixStream) -> Result<Self> {
        let lines = BufReader::new(socket.try_clone().context("copy the QMP socket")?);
        let (sender, answers) = mpsc::channel();
        let events = Arc::new(Events::default());
        let log = Arc::clone(&events);
        let reader = thread::Builder::new()
            .name("qmp".to_owned())
            .spawn(move || read(lines, &sender, &log))
            .context("start a thread that reads QMP")?;
        let qmp = Self {
            socket,
            answers: Mutex::new(answers),
            events,
            reader: Some(reader),
        };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and gives what it returns.
    ///
    /// # Errors
    /// When QEMU refuses it, with the reason, or does not answer.
    pub fn execute(&self, command: &str, arguments: Value) -> Result<Value> {
        // Answers have the order of the commands.
        let answers = lock(&self.answers);
        let line = json!({"execute": command, "arguments": arguments});
        writeln!(&self.socket, "{line}").with_context(|| format!("send {line}"))?;
        match answers.recv_timeout(PATIENCE) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(why)) => bail!("QEMU refuses {line}: {why}"),
            Err(_) => bail!("QEMU does not answer {line}"),
        }
    }

    /// How many events there have been.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.events.lock().events.len()
    }

    /// The first event that is `wanted`, which `what` describes, from number `from` on; waits for it.
    ///
    /// # Errors
    /// When it does not come in time or QEMU ends; with the events there were.
    pub fn wait_for(
        &self,
        from: usize,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Event> {
        let deadline = Instant::now() + timeout;
        let mut log = self.events.lock();
        loop {
            if let Some(event) = log.events.iter().skip(from).find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if log.closed || left.is_zero() {
                let names: Vec<_> = log.events.iter().map(summary).collect();
                let why = if log.closed {
                    "QEMU ended"
                } else {
                    "it did not come"
                };
                bail!("waited for {what}, but {why}; events: {}", names.join(", "));
            }
            let waited = self.events.changed.wait_timeout(log, left);
            (log, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The last event so far that is `wanted`, of those from number `from` on.
    #[must_use]
    pub fn last(&self, from: usize, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let log = self.events.lock();
        let mut events = log.events.iter().skip(from).rev();
        events.find(|event| wanted(event)).cloned()
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        // The reader then sees the end, unless QEMU is gone anyway.
        drop(self.socket.shutdown(std::net::Shutdown::Both));
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sorts the lines until there are none.
fn read(lines: impl BufRead, answers: &mpsc::Sender<Answer>, events: &Events) {
    for line in lines.lines().map_while(std::result::Result::ok) {
        match Line::read(&line) {
            // Nobody may be waiting any more.
            Some(Line::Answer(answer)) => drop(answers.send(answer)),
            Some(Line::Event(event)) => events.change(|log| log.events.push(event)),
            // The greeting.
            None => {}
        }
    }
    events.change(|log| log.closed = true);
}

enum Line {
    Answer(Answer),
    Event(Event),
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let mut value: Value = serde_json::from_str(line).ok()?;
        if let Some(result) = value.get_mut("return") {
            return Some(Self::Answer(Ok(result.take())));
        }
        if let Some(error) = value.get("error") {
            let text = error["desc"].as_str().unwrap_or("no reason").to_owned();
            return Some(Self::Answer(Err(text)));
        }
        let name = value["event"].as_str()?.to_owned();
        let stamp = &value["timestamp"];
        let seconds = Duration::from_secs(stamp["seconds"].as_u64()?);
        let micros = Duration::from_micros(stamp["microseconds"].as_u64()?);
        Some(Self::Event(Event {
            name,
            data: value["data"].take(),
            at: SystemTime::UNIX_EPOCH.checked_add(seconds + micros)?,
        }))
    }
}

/// An event in a word or two.
fn summary(event: &Event) -> String {
    match event.data["status"].as_str() {
        Some(status) => format!("{} {status}", event.name),
        None => event.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (JoinHandle<Result<Qmp>>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (thread::spawn(|| Qmp::new(ours)), theirs)
    }

    fn hear(monitor: &UnixStream) -> Value {
        let mut line = String::new();
        BufReader::new(monitor)
            .read_line(&mut line)
            .expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }

    fn say(mut monitor: &UnixStream, line: &str) {
        writeln!(monitor, "{line}").expect("written");
    }

    #[test]
    fn answers_and_events_are_told_apart() {
        let (qmp, monitor) = pair();
        say(&monitor, r#"{"QMP": {"version": {}, "capabilities": []}}"#);
        assert_eq!(hear(&monitor)["execute"], "qmp_capabilities");
        say(&monitor, r#"{"return": {}}"#);
        let qmp = qmp.join().expect("no panic").expect("negotiated");
        thread::scope(|scope| {
            let asked = scope.spawn(|| qmp.execute("query-status", json!({})));
            assert_eq!(hear(&monitor)["execute"], "query-status");
            say(
                &monitor,
                r#"{"timestamp": {"seconds": 5, "microseconds": 7}, "event": "STOP"}"#,
            );
            say(&monitor, r#"{"return": {"running": false}}"#);
            let answer = asked.join().expect("no panic").expect("an answer");
            assert_eq!(answer, json!({"running": false}));
        });
        let stop = qmp
            .wait_for(0, "the stop", PATIENCE, |event| event.name == "STOP")
            .expect("the event");
        let at = SystemTime::UNIX_EPOCH + Duration::new(5, 7_000);
        assert_eq!((stop.at, &stop.data), (at, &Value::Null));
        assert_eq!(qmp.seen(), 1);
        assert_eq!(qmp.last(0, |_| true), Some(stop));
        assert_eq!(qmp.last(1, |_| true), None);
    }

    #[test]
    fn a_refusal_and_an_end_have_their_reasons() {
        let (qmp, monitor) = pair();
        hear(&monitor);
        say(&monitor, r#"{"return": {}}"#);
        let qmp = qmp.join().expect("no panic").expect("negotiated");
        thread::scope(|scope| {
            let asked = scope.spawn(|| qmp.execute("migrate", json!({})));
            hear(&monitor);
            say(
                &monitor,
                r#"{"error": {"class": "GenericError", "desc": "no"}}"#,
            );
            let refused = asked.join().expect("no panic").expect_err("refused");
            assert!(refused.to_string().ends_with(": no"), "{refused}");
        });
        drop(monitor);
        let ended = qmp
            .wait_for(0, "the stop", PATIENCE, |event| event.name == "STOP")
            .expect_err("there is none");
        assert!(ended.to_string().contains("QEMU ended"), "{ended}");
    }
}
