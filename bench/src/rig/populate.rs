//! A flow table filled at once. Through the agent, a million addresses would have to speak first.

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use switch_agent::{
    datapath::{Names, Pins, Tables},
    types::InstanceName,
};
use switch_ebpf::{
    abi::{BindingKey, agent},
    rule,
};

use super::{Family, vm};

/// Binds the VMs below `count`, by their addresses of one family, to `sites` in turn, as the agent
/// would: what is written is what is left of a learned binding when its handover is over.
///
/// The instance's maps must be there and its agent must not: it alone writes bindings, and it gives
/// out their slots. The next one adopts what it finds.
///
/// # Errors
/// There is no such instance or site, or no room.
pub fn populate(instance: &str, sites: &[&str], count: u32, family: Family) -> Result<()> {
    fill(instance, sites, count, family).with_context(|| {
        let family = family.name();
        format!("bind {count} {family} addresses in the maps of instance {instance}")
    })
}

fn fill(instance: &str, sites: &[&str], count: u32, family: Family) -> Result<()> {
    let instance: InstanceName = instance.parse()?;
    let mut tables = Tables::open(&Pins::of(&instance))?;
    let names = Names::read(&tables)?;
    let mut places = Vec::new();
    for wanted in sites {
        let found = names.sites.iter().find(|(_, (_, site, _))| site == wanted);
        let (id, (network, ..)) = found.with_context(|| format!("there is no site {wanted}"))?;
        let network = names.networks.iter().find(|(_, (name, _))| name == network);
        let (network, _) = network.with_context(|| format!("{wanted} has no network"))?;
        places.push((*network, *id));
    }
    ensure!(!places.is_empty(), "no site was named");

    let taken = first_free_slot(&tables)?;
    let (room, max) = (u64::from(taken) + u64::from(count), tables.max_flows()?);
    ensure!(room <= u64::from(max), "there is room for {max} flows");
    let now_ns = now_ns()?;
    for (number, (network, site)) in (0..count).zip(places.iter().cycle()) {
        let key = BindingKey {
            network: *network,
            address: vm::address(family, number).into(),
        };
        let binding = rule::created(*site, taken + number, now_ns, vm::mac(number));
        tables.set_binding(&key, &binding)?;
    }
    Ok(tables.add_agent(agent::CREATED, count.into())?)
}

/// The slot behind all that have an owner.
fn first_free_slot(tables: &Tables) -> Result<u32> {
    let mut free = 0;
    for entry in tables.bindings() {
        let (_, binding) = entry?;
        free = free.max(binding.slot + 1);
    }
    Ok(free)
}

/// The clock that bindings' times are of: `CLOCK_MONOTONIC`, in nanoseconds.
///
/// # Errors
/// Never: every kernel has it.
pub fn now_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
}
