//! One move of the VM, and the gap it makes.

use std::{
    panic::resume_unwind,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{Agent, Lab, RawSender, Vm, frame::Arp, interrupt::wait_until};
use serde::Deserialize;

use crate::{
    news::{News, PATIENCE, Trigger},
    system::System,
    traffic::Traffic,
};

/// What a move was like. The times count from the VM's resumption at its new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// For how long the VM stood still before: the hypervisors' part, not the switch's.
    pub paused: Duration,
    /// The first probe that the PC sent after the resumption.
    pub first_probe: u64,
    /// What made the switch change its flow table.
    pub trigger: Trigger,
    /// Until that came: to the switch, or the announcement to the control device.
    pub news: Duration,
    /// Until the switch had new flow rules, by its own account.
    pub switched: Duration,
    /// Until the VM's first answer to one of the PC's probes was at the PC.
    pub gap: Duration,
}

/// A VM at its new place.
pub struct Arrival {
    /// For how long it stood still.
    pub paused: Duration,
    /// Since when it runs again.
    pub resumed: Instant,
    /// The first probe sent after that.
    pub first_probe: u64,
}

/// Moves the VM to another data centre, and waits until it answers from there.
pub fn migrate<S: System>(
    lab: &Lab,
    vm: &mut Vm,
    to: usize,
    traffic: &Traffic,
    system: &S,
) -> Result<Move> {
    let ear = system.listen(lab, vm, to)?;
    let (arrival, answered, news) = thread::scope(|scope| {
        let ear = scope.spawn(ear);
        let arrival = carry(lab, vm, to, traffic)?;
        let answered = first_answer(traffic, &arrival);
        let news = ear.join().unwrap_or_else(|panic| resume_unwind(panic));
        anyhow::Ok((arrival, answered, news))
    })?;
    let said = || format!("the switch said:\n{}", system.switch().stderr());
    let (answered, news) = (answered.with_context(said)?, news.with_context(said)?);
    // An answer proves that the switch has switched, however late that was noted.
    let switched = switched(system.switch(), vm, &news)?.min(answered);
    Ok(Move {
        paused: arrival.paused,
        first_probe: arrival.first_probe,
        trigger: news.trigger,
        news: news.came.min(switched) - arrival.resumed,
        switched: switched - arrival.resumed,
        gap: answered - arrival.resumed,
    })
}

/// Does with a VM what hypervisors do: pause, carry over, resume, announce. An idle guest does not
/// notice anything.
pub fn carry(lab: &Lab, vm: &mut Vm, to: usize, traffic: &Traffic) -> Result<Arrival> {
    let still = traffic.pause()?;
    lab.migrate(vm, to)?;
    let hypervisor = RawSender::open(&vm.ns, &vm.interface)?;
    let announcement = Arp::announcement(vm.mac, vm.ipv4).frame();
    let since = still.since();
    let resumed = still.resume();
    hypervisor.send(&announcement)?;
    Ok(Arrival {
        paused: resumed - since,
        resumed,
        first_probe: traffic.probes(),
    })
}

/// Waits for the first answer from the VM's new place.
pub fn first_answer(traffic: &Traffic, arrival: &Arrival) -> Result<Instant> {
    wait_until(PATIENCE, "the VM to answer from its new place", || {
        traffic.answered(arrival.first_probe)
    })
}

/// What `events --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Event {
    event: String,
    address: String,
    to: Option<String>,
    evidence: Option<String>,
    learn_us: Option<u64>,
}

/// When the switch had new flow rules for the VM's last move. It must have made them for the reason
/// that was observed.
fn switched(switch: &Agent, vm: &Vm, news: &News) -> Result<Instant> {
    let site = format!("dc{}", vm.dc() + 1);
    let moved = wait_until(
        PATIENCE,
        "the switch to tell of the move",
        || match last_move(switch, vm) {
            Ok(moved) => moved
                .filter(|moved| moved.to.as_ref() == Some(&site))
                .map(Ok),
            Err(error) => Some(Err(error)),
        },
    )??;
    ensure!(
        moved.evidence.as_deref() == Some(news.trigger.evidence()),
        "{} came first, and the switch says it learned from {:?}",
        news.trigger,
        moved.evidence
    );
    let learned = news.came + Duration::from_micros(moved.learn_us.unwrap_or_default());
    Ok(news.switched.unwrap_or(learned))
}

fn last_move(switch: &Agent, vm: &Vm) -> Result<Option<Event>> {
    let address = vm.ipv4.to_string();
    let mut last = None;
    for line in switch.cli_ok(&["events", "--json"])?.lines() {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("read the event {line}"))?;
        if event.event == "moved" && event.address == address {
            last = Some(event);
        }
    }
    Ok(last)
}
