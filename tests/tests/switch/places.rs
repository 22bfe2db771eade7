//! Two attachments that the datapath looks for in the same place.

use anyhow::{Context, Result};
use lab::{
    AttachedProgram, Lab, Tag, Verdict,
    frame::{self, Arp},
};
use switch_ebpf::abi::AttachmentKey;

use crate::{
    VM_IPV4, VM_IPV6, VM_MAC,
    crash::restart,
    run,
    traffic::{other_vm, talk},
};

/// Two VLAN ids whose attachments at a port want the same place.
fn rivals(ifindex: u32) -> Option<(u16, u16)> {
    let place = |vid| {
        let Tag { tpid, vid, .. } = Tag::c(vid);
        let key = AttachmentKey { ifindex, tpid, vid };
        key.place()
    };
    let mut pairs = (1..4095).flat_map(|one| (1..one).map(move |other| (other, one)));
    pairs.find(|(one, other)| place(*one) == place(*other))
}

#[test]
fn both_are_found_and_so_is_the_one_that_stays() -> Result<()> {
    let mut lab = Lab::without_sites()?;
    let trunk = lab.switch.link("t0")?.index;
    let (first, second) = rivals(trunk).context("no two VLANs want the same place")?;
    lab.add_dc(Tag::c(first))?;
    lab.add_dc(Tag::c(second))?;
    let vm = lab.add_vm(0, "vm13", VM_MAC, VM_IPV4, VM_IPV6)?;
    let other = other_vm(&lab, 1)?;
    let sites = [format!("dc1=t0:{first}"), format!("dc2=t0:{second}")];
    let second_only = ["run", "--client", "c0", "--site", &sites[1]];
    let both = [&second_only[..3], &["--site", &sites[0]], &second_only[3..]].concat();
    let mut agent = run(&lab.switch, &both)?;
    talk(&lab.client, &vm)?;
    talk(&lab.client, &other)?;

    // The one that was in the place goes.
    agent.kill9()?;
    let mut agent = restart(agent, &second_only)?;
    talk(&lab.client, &other)?;
    let program = AttachedProgram::of(&lab.switch, "t0")?;
    let reply = Arp::reply(VM_MAC, VM_IPV4, lab.client.mac, lab.client.ipv4).frame();
    let verdict = |vid| {
        let tagged = frame::tagged(&[Tag::c(vid)], &reply);
        anyhow::Ok(program.run(tagged.as_slice())?.verdict)
    };
    assert_eq!(verdict(first)?, Verdict::Pass, "it is the host's now");

    // And comes back.
    agent.kill9()?;
    let agent = restart(agent, &both)?;
    talk(&lab.client, &vm)?;
    talk(&lab.client, &other)?;
    assert_eq!(agent.stats()?.faults(), []);
    Ok(())
}
