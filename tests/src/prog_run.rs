//! Running the XDP program of a link on one frame: `BPF_PROG_TEST_RUN` of bpf(2).
//!
//! The program and its maps are the very ones that carry traffic, so that everything counts and
//! everything is learned as from a frame on the wire. Only the device is left out: a redirect is
//! a verdict, and nothing is sent.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail};

use crate::{Namespace, net::bpf};

/// What may come out longer than it went in: room for tags.
const GROWTH: usize = 64;

/// What a program has decided on a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It could not decide.
    Aborted,
    /// The frame is dropped, or somebody else was given a copy.
    Drop,
    /// The frame goes on to the host.
    Pass,
    /// The frame goes back where it came from.
    Transmit,
    /// The frame goes elsewhere.
    Redirect,
}

impl TryFrom<u32> for Verdict {
    type Error = anyhow::Error;

    /// From an XDP action, `enum xdp_action` of linux/bpf.h.
    fn try_from(action: u32) -> Result<Self> {
        Ok(match action {
            0 => Self::Aborted,
            1 => Self::Drop,
            2 => Self::Pass,
            3 => Self::Transmit,
            4 => Self::Redirect,
            other => bail!("the program said {other}, which is no XDP action"),
        })
    }
}

/// A frame as a driver hands it to a program.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The frame.
    pub frame: &'a [u8],
    /// Bytes of metadata that the driver has put in front of it, a multiple of 4.
    pub metadata: usize,
    /// How much of the frame is in the driver's first buffer, which is all that a program can look
    /// into directly. The kernel takes no more than fits into a page.
    pub first_buffer: usize,
    /// How often the program runs. What it made of the frame is what it gets the next time.
    pub repeat: u32,
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(frame: &'a [u8]) -> Self {
        Self {
            frame,
            metadata: 0,
            first_buffer: frame.len(),
            repeat: 1,
        }
    }
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What is to be done with it.
    pub verdict: Verdict,
    /// What is in it now.
    pub frame: Vec<u8>,
}

/// The XDP program of a link.
#[derive(Debug)]
pub struct AttachedProgram {
    program: OwnedFd,
    namespace: Namespace,
    ifindex: u32,
}

/// `struct xdp_md` of linux/bpf.h. Offsets count from the start of the metadata.
#[repr(C)]
struct XdpMd {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// The part of `union bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct IdRequest {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The part of `union bpf_attr` for `BPF_PROG_TEST_RUN`.
#[repr(C)]
struct RunRequest {
    program: u32,
    result: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
}

impl AttachedProgram {
    /// The program that is attached to a link of `namespace`.
    ///
    /// # Errors
    /// When there is no such link, or no program on it.
    pub fn of(namespace: &Namespace, link: &str) -> Result<Self> {
        const GET_FD_BY_ID: libc::c_int = 13;
        let found = namespace.link(link)?;
        let id = found.xdp_program.with_context(|| {
            let name = namespace.name();
            format!("{link} in {name} has no XDP program")
        })?;
        let mut request = IdRequest {
            id,
            next_id: 0,
            open_flags: 0,
        };
        // SAFETY: the request is the command's, and points to nothing.
        let program = unsafe { bpf::open(GET_FD_BY_ID, &mut request) }
            .with_context(|| format!("open the XDP program {id} of {link}"))?;
        Ok(Self {
            program,
            namespace: namespace.clone(),
            ifindex: found.index,
        })
    }

    /// Runs the program on a frame that comes in at the link. The kernel puts what does not fit
    /// into a page into further buffers, as a driver does with a jumbo frame.
    ///
    /// # Errors
    /// When the kernel refuses to: it takes no frame that is shorter than an Ethernet header.
    pub fn run<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output> {
        let input = input.into();
        // The kernel looks the link up in the namespace of the thread.
        let (action, mut out) = self
            .namespace
            .run(|| self.call(&input))
            .with_context(|| format!("run the XDP program on {} bytes", input.frame.len()))?;
        let verdict = action.try_into()?;
        out.drain(..input.metadata.min(out.len()));
        Ok(Output {
            verdict,
            frame: out,
        })
    }

    /// The action, and metadata and frame as the program left them.
    fn call(&self, input: &Input<'_>) -> Result<(u32, Vec<u8>)> {
        const PROG_TEST_RUN: libc::c_int = 10;
        let data = [vec![0; input.metadata].as_slice(), input.frame].concat();
        let mut out = vec![0; data.len() + GROWTH];
        let context = XdpMd {
            data: u32::try_from(input.metadata)?,
            data_end: u32::try_from(input.metadata + input.first_buffer)?,
            data_meta: 0,
            ingress_ifindex: self.ifindex,
            rx_queue_index: 0,
            egress_ifindex: 0,
        };
        let mut request = RunRequest {
            program: u32::try_from(self.program.as_raw_fd())?,
            result: 0,
            data_size_in: u32::try_from(data.len())?,
            data_size_out: u32::try_from(out.len())?,
            data_in: data.as_ptr() as u64,
            data_out: out.as_mut_ptr() as u64,
            repeat: input.repeat,
            duration: 0,
            context_size_in: size_of::<XdpMd>() as u32,
            context_size_out: 0,
            context_in: (&raw const context) as u64,
            context_out: 0,
        };
        // SAFETY: the request is the command's; both buffers and the context outlive the call and
        // have the sizes given.
        unsafe { bpf::call_kernel(PROG_TEST_RUN, &mut request) }?;
        out.truncate(request.data_size_out as usize);
        Ok((request.result, out))
    }
}
