//! Several switches on one machine.

use anyhow::{Result, ensure};
use lab::{
    Agent, Capture, Host, Lab, Tag,
    fig1::{CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC},
    traffic::{ping, stream},
};

use crate::{
    SOON, V4, V6, VM_IPV4, VM_IPV6, VM_MAC,
    ports::left_by,
    run, start,
    stream::{Pace, Vms},
};

/// A switch with its client and its VM.
struct Side {
    agent: Agent,
    client: Host,
    vm: Host,
    vms: Vms,
    ports: [&'static str; 2],
}

/// Two switches that have the same VLANs, and the same addresses on both their sides, do not
/// notice each other. `one` sends more than `two`, so that either's frames would be missed.
fn keep_apart(one: &mut Side, two: &mut Side) -> Result<()> {
    let mut counts = Vec::new();
    for (side, count) in [(&mut *one, 700), (&mut *two, 300)] {
        let capture = Capture::start(&side.client.ns, &side.client.interface)?;
        side.vms.send(Pace::Flood, count, &[(V4, 1), (V6, 2)])?;
        counts.push((capture, count));
    }
    for (side, (capture, count)) in [&*one, &*two].into_iter().zip(counts) {
        capture.wait_for(count, SOON)?;
        let received = capture.finish()?;
        assert_eq!(received.len(), count);
        side.vms.check(&received)?;
        let stats = side.agent.stats()?;
        let [client, trunk] = side.ports;
        assert_eq!(
            stats.get(&format!("ports/{client}/tx_packets")),
            count as u64
        );
        assert_eq!(
            stats.get(&format!("ports/{trunk}/rx_packets")),
            count as u64
        );
        assert_eq!((stats.get("created"), stats.get("passed")), (2, 0));
        assert_eq!(stats.faults(), []);
    }

    // What one is told, the other does not hear.
    one.agent.cli_ok(&["move", "fd00::d", "--site", "dc1"])?;
    two.agent.cli_ok(&["unbind", "fd00::d"])?;
    assert_eq!((one.agent.flows()?.len(), two.agent.flows()?.len()), (2, 1));
    assert_eq!(
        (one.agent.events()?.len(), two.agent.events()?.len()),
        (3, 3)
    );
    assert_eq!(two.agent.stats()?.get("moves"), 0);

    // Hosts with the same addresses talk at the same time, each to its own.
    for side in [&*one, &*two] {
        ping(&side.client.v4(0), &side.vm.v4(7), SOON)?;
        let report = stream(&side.vm.v4(0), &side.client.v4(5000), 200, 200, SOON)?;
        ensure!(report.is_perfect(), "{report}");
    }
    Ok(())
}

#[test]
fn in_two_namespaces() -> Result<()> {
    let side = || -> Result<(Lab, Side)> {
        let (lab, vm, agent) = start(&[])?;
        let side = Side {
            agent,
            client: lab.client.clone(),
            vm: (*vm).clone(),
            vms: Vms::new(&lab.wan, "pt0")?,
            ports: ["c0", "t0"],
        };
        Ok((lab, side))
    };
    let ((_first, mut one), (_second, mut two)) = (side()?, side()?);
    keep_apart(&mut one, &mut two)
}

#[test]
fn in_one_namespace() -> Result<()> {
    let (mut lab, vm, agent) = start(&[])?;
    lab.add_trunk("t1")?;
    let dc = lab.add_dc_on("t1", Tag::c(1))?;
    let client = lab.add_client("c1", CLIENT_MAC, CLIENT_IPV4, CLIENT_IPV6)?;
    let other = lab.add_vm(dc, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    let arguments = [
        "run", "--client", "c1", "--site", "dc1=t1:1", "--site", "dc2=t1:2",
    ];
    let mut one = Side {
        agent,
        client: lab.client.clone(),
        vm: (*vm).clone(),
        vms: Vms::new(&lab.wan, "pt0")?,
        ports: ["c0", "t0"],
    };
    let mut two = Side {
        agent: run(&lab.switch, &arguments)?,
        client,
        vm: (*other).clone(),
        vms: Vms::new(&lab.wan, "pt1")?,
        ports: ["c1", "t1"],
    };
    keep_apart(&mut one, &mut two)?;
    // The end of one is not the end of the other.
    ensure!(
        two.agent.interrupt(SOON)?.success(),
        "{}",
        two.agent.stderr()
    );
    assert_eq!(left_by(two.agent.instance()), [] as [&str; 0]);
    ping(&one.client.v4(0), &one.vm.v4(7), SOON)?;
    Ok(())
}
