//! Loads the programs onto the pinned maps, and attaches them to ports by pinned links.

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Array, Map, MapData, MapError, MapInfo},
    programs::{ProgramError, RawTracePoint, Xdp, links::FdLink},
};
use aya_log::EbpfLogger;
use switch_ebpf::abi::{DEFAULT_MAX_FLOWS, LAYOUT_VERSION, Meta, gateway, names};

use super::{
    DatapathError, Kernel, Pins,
    attach::{Attached, adopt, attach},
    shortcuts, tables,
};
use crate::{config, net::link::Link, types::PortName};

/// An object file of programs, and what its maps are like.
pub struct Object {
    bytes: &'static [u8],
    /// Name of the program of every port, and of the one for a kernel without frames in several buffers.
    program: &'static str,
    linear_program: &'static str,
    /// The version of its maps.
    pub(super) layout: u32,
    /// The maps that hold something of each flow.
    by_flow: &'static [&'static str],
    /// Whether it has shortcuts to flows.
    has_shortcuts: bool,
}

/// The switch's.
pub static SWITCH: Object = Object {
    bytes: include_bytes_aligned!(concat!(env!("OUT_DIR"), "/switch")),
    program: "switch",
    linear_program: "switch_linear",
    layout: LAYOUT_VERSION,
    by_flow: &[
        names::BINDINGS,
        names::QUEUED,
        names::FLOW_TRAFFIC,
        names::AGENT_FLOW_TRAFFIC,
    ],
    has_shortcuts: true,
};

/// A gateway's.
pub static GATEWAY: Object = Object {
    bytes: include_bytes_aligned!(concat!(env!("OUT_DIR"), "/gateway")),
    program: "gateway",
    linear_program: "gateway_linear",
    layout: gateway::LAYOUT_VERSION,
    by_flow: &[],
    has_shortcuts: false,
};

/// The programs that hear what became of redirected frames, and at which tracepoint.
const EGRESS_PROGRAMS: [(&str, &str); 2] = [
    ("egress_flushed", "xdp_devmap_xmit"),
    ("egress_refused", "xdp_redirect_err"),
];

/// The loaded programs. The kernel keeps what is attached when this is dropped.
pub struct Programs {
    object: &'static Object,
    kernel: Kernel,
    ebpf: Ebpf,
    /// Whether the maps were there before.
    pub adopted: bool,
}

impl Programs {
    /// Loads the program of the ports, onto the maps that are pinned or onto new ones.
    ///
    /// # Errors
    /// What is pinned has another layout or another size; the kernel refuses a program.
    pub fn load(
        object: &'static Object,
        kernel: Kernel,
        pins: &Pins,
        max_flows: Option<u32>,
    ) -> Result<Self, DatapathError> {
        if let Some(warning) = kernel.warning() {
            tracing::warn!("{warning}");
        }
        if object.bytes.is_empty() {
            return Err(DatapathError::NotBuilt);
        }
        let found = tables::pinned(pins, object.layout)?;
        if found.is_none() {
            // What a start that was killed half-way has left: nobody can have used it yet.
            pins.remove()?;
        }
        if let (Some(found), Some(asked)) = (found, max_flows)
            && found != asked
        {
            return Err(DatapathError::MaxFlows { found, asked });
        }
        let adopted = found.is_some();
        let max_flows = found.or(max_flows).unwrap_or(DEFAULT_MAX_FLOWS);
        let loaded = Self::load_onto(object, kernel, pins, max_flows, adopted);
        if loaded.is_err() && !adopted {
            pins.remove()?;
        }
        loaded
    }

    fn load_onto(
        object: &'static Object,
        kernel: Kernel,
        pins: &Pins,
        max_flows: u32,
        adopted: bool,
    ) -> Result<Self, DatapathError> {
        pins.create()?;

        let mut loader = EbpfLoader::new();
        loader.default_map_pin_directory(pins.maps());
        for map in object.by_flow {
            loader.map_max_entries(map, max_flows);
        }
        let (mut seed, mut sizes) = (None, None);
        if object.has_shortcuts {
            let sizes = sizes.insert(shortcuts::Sizes::new(max_flows)?);
            let seed = seed.insert(if adopted {
                shortcuts::pinned_seed(pins)?
            } else {
                shortcuts::new_seed()?
            });
            loader.map_max_entries(names::SHORTCUTS, sizes.lines);
            loader.map_max_entries(names::SHORTCUT_OWNERS, sizes.owners);
            loader.map_max_entries(names::SHORTCUT_TRAFFIC, sizes.traffic);
            loader.override_global(names::LINES, &sizes.lines, true);
            loader.override_global(names::SEED, &*seed, true);
        }
        let frags = u32::from(kernel.frags);
        loader.override_global(names::FRAGS, &frags, true);
        let ebpf = loader.load(object.bytes)?;
        let mut programs = Self {
            object,
            kernel,
            ebpf,
            adopted,
        };
        programs.xdp()?.load().map_err(object.error())?;
        for (program, tracepoint) in EGRESS_PROGRAMS {
            if let Err(error) = hear(&mut programs.ebpf, pins, program, tracepoint) {
                tracing::warn!(
                    reason = reason(&error),
                    "cannot attach to tracepoint {tracepoint}: frames that a port does not take are \
                     not counted"
                );
            }
        }
        if !adopted {
            if let Some(seed) = seed {
                shortcuts::pin_seed(pins, seed)?;
            }
            // Last of all, for it says that the maps are whole.
            write_meta(pins, object.layout, max_flows)?;
        }
        Ok(programs)
    }

    /// The rare words of the datapath, for the agent's log. Nobody may hear them: that stops nothing.
    pub fn words(&mut self) -> Option<EbpfLogger<&'static dyn log::Log>> {
        EbpfLogger::init(&mut self.ebpf)
            .inspect_err(|error| tracing::debug!(%error, "no words from the datapath"))
            .ok()
    }

    fn xdp(&mut self) -> Result<&mut Xdp, DatapathError> {
        let name = if self.kernel.frags {
            self.object.program
        } else {
            self.object.linear_program
        };
        let program = self.ebpf.program_mut(name).ok_or(DatapathError::NotBuilt)?;
        program.try_into().map_err(self.object.error())
    }

    /// Attaches the program to each of these ports, and says in which mode.
    pub fn attach_all(
        &mut self,
        pins: &Pins,
        links: Vec<(PortName, Link)>,
        mode: config::XdpMode,
    ) -> Result<Vec<(PortName, Link, u16)>, DatapathError> {
        let mut attached = Vec::new();
        for (name, link) in links {
            let at = self.attach(pins, &name, &link, mode)?;
            tracing::debug!(port = %name, mode = at.mode, adopted = at.adopted, "attached");
            attached.push((name, link, at.mode));
        }
        Ok(attached)
    }

    /// Attaches the program to a port, or replaces that of a former run in place.
    pub fn attach(
        &mut self,
        pins: &Pins,
        port: &PortName,
        link: &Link,
        mode: config::XdpMode,
    ) -> Result<Attached, DatapathError> {
        let name = || port.as_str().to_owned();
        let pin = pins.link(port);
        let failed = self.object.error();
        let program = self.xdp()?;
        if let Some(attached) = adopt(program, failed, &pin, port, link)? {
            return Ok(attached);
        }
        let (id, mode) = attach(program, port, link, mode)?;
        let owned = program.take_link(id).map_err(failed)?;
        let owned: FdLink = owned.try_into().map_err(|source| DatapathError::Link {
            verb: "own",
            port: name(),
            source,
        })?;
        owned.pin(&pin).map_err(|source| DatapathError::Pin {
            port: name(),
            source,
        })?;
        Ok(Attached {
            mode,
            adopted: false,
        })
    }
}

impl Object {
    fn error(&self) -> impl Fn(ProgramError) -> DatapathError + Copy + use<> {
        let program = self.program;
        move |source| match source {
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => {
                let log = verifier_log.to_string();
                tracing::debug!("the verifier says of `{program}`:\n{log}");
                DatapathError::Verifier {
                    program,
                    reason: last_word(&log).map_or(io_error.to_string(), str::to_owned),
                }
            }
            source => DatapathError::Program { program, source },
        }
    }
}

/// Why the verifier stopped: what stands in front of its statistics.
fn last_word(log: &str) -> Option<&str> {
    let statistics = ["verification time ", "stack depth ", "processed "];
    let lines = log.lines().map(str::trim);
    lines
        .rev()
        .find(|line| !line.is_empty() && !statistics.iter().any(|begin| line.starts_with(begin)))
}

/// Attaches a program to a tracepoint, and has it take the place of a former run's. For a moment both
/// are there, which counts nothing twice: what one has counted is not outstanding for the other.
fn hear(
    object: &mut Ebpf,
    pins: &Pins,
    name: &str,
    tracepoint: &'static str,
) -> Result<(), EgressError> {
    let program = object.program_mut(name).ok_or(EgressError::Missing)?;
    let program: &mut RawTracePoint = program.try_into()?;
    program.load()?;
    let id = program.attach(tracepoint)?;
    let link: FdLink = program.take_link(id)?.into();
    let pin = pins.tracepoint(tracepoint);
    match std::fs::remove_file(&pin) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)?,
        _ => {}
    }
    link.pin(&pin)?;
    Ok(())
}

/// Why it is not heard what becomes of redirected frames.
#[derive(Debug, thiserror::Error)]
enum EgressError {
    #[error("the object has no such program")]
    Missing,
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Pin(#[from] aya::pin::PinError),
}

fn write_meta(pins: &Pins, layout: u32, max_flows: u32) -> Result<(), DatapathError> {
    let error = |source: MapError| DatapathError::Open {
        map: names::META,
        source,
    };
    let egress = MapInfo::from_pin(pins.map(names::EGRESS)).map_err(error)?;
    let data = MapData::from_pin(pins.map(names::META)).map_err(error)?;
    let mut meta: Array<MapData, Meta> = Array::try_from(Map::Array(data)).map_err(error)?;
    meta.set(
        0,
        Meta {
            layout,
            max_flows,
            egress_map: egress.id(),
            reserved: 0,
        },
        0,
    )
    .map_err(error)
}

/// The innermost cause: aya's own words say only that a system call failed.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::{GATEWAY, Kernel, Pins, Programs, SWITCH, last_word};
    use crate::types::InstanceName;

    /// Of the running kernel what it can do, and of every kernel what one before 6.3 can.
    #[test]
    fn the_verifier_takes_every_program() {
        let here = crate::datapath::kernel::probe().expect("a kernel");
        for (object, kernel) in [&SWITCH, &GATEWAY]
            .into_iter()
            .flat_map(|object| [(object, here), (object, Kernel { frags: false })])
        {
            let name = format!("test-load-{}", std::process::id());
            let pins = Pins::of(&name.parse::<InstanceName>().expect("a name"));
            let loaded = Programs::load(object, kernel, &pins, None);
            pins.remove().expect("no pins");
            assert!(
                loaded.is_ok(),
                "{} {kernel:?}: {:?}",
                object.program,
                loaded.err()
            );
        }
    }

    #[test]
    fn the_verifiers_reason_is_in_front_of_its_statistics() {
        let log = "1484: (85) call bpf_xdp_load_bytes#189\nR4 invalid zero-sized read: u64=[0,4294967295]\n\
                   verification time 347743 usec\nstack depth 96+48\nprocessed 5006 insns (limit 1000000)\n";
        assert_eq!(
            last_word(log),
            Some("R4 invalid zero-sized read: u64=[0,4294967295]")
        );
        assert_eq!(last_word("processed 0 insns\n"), None);
        assert_eq!(last_word(""), None);
    }
}
