//! Attaching programs to links with traffic control.
//!
//! The `clsact` hooks rather than a `bpf_link`: they are there on every kernel the lab may run
//! on, and they go away with the link.

use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use futures::StreamExt;
use rtnetlink::{
    Handle,
    packet_core::{
        NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
    },
    packet_route::{
        RouteNetlinkMessage,
        tc::{TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
    },
};

use super::{
    bpf::{self, Hook, Rule, Step},
    netlink::with_netlink,
};
use crate::Namespace;

/// Where on a link a program sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the link receives, before a bridge or the host sees it.
    Ingress,
    /// What is sent out of the link.
    Egress,
}

/// The one priority the lab uses; the protocol is every one of them (`ETH_P_ALL`).
const PRIORITY: u32 = 1;

/// Makes the frames of one side of a link follow `rules`, and take the steps of `otherwise` where
/// none fits. What was there before is replaced in one step: no frame sees neither.
///
/// # Errors
/// When the kernel refuses the program or the attachment.
pub fn attach(
    namespace: &Namespace,
    link: &str,
    side: Side,
    rules: &[Rule<'_>],
    otherwise: &[Step],
) -> Result<()> {
    let program = bpf::load(Hook::Tc, rules, otherwise)?;
    let index = index(namespace, link)?;
    let descriptor = u32::try_from(program.as_fd().as_raw_fd())?;
    let minor = match side {
        Side::Ingress => TcHandle::MIN_INGRESS,
        Side::Egress => TcHandle::MIN_EGRESS,
    };
    let mut filter = TcMessage::with_index(index);
    filter.header.parent = TcHandle {
        major: u16::MAX,
        minor,
    };
    // A fixed handle, so that the next attachment finds this one and replaces it.
    filter.header.handle = TcHandle::from(1);
    filter.header.info = PRIORITY << 16 | u32::from((libc::ETH_P_ALL as u16).to_be());
    filter.attributes = vec![
        TcAttribute::Kind("bpf".to_owned()),
        TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(descriptor)),
            TcOption::Bpf(TcFilterBpfOption::ProgName("swt".to_owned())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]),
    ];
    with_netlink(namespace, async |mut handle| {
        let qdisc = RouteNetlinkMessage::NewQueueDiscipline(clsact(index));
        match request(&mut handle, qdisc, NLM_F_CREATE | NLM_F_EXCL).await {
            Err(code) if code != -libc::EEXIST => Err(errno(code)).context("add a clsact qdisc"),
            _ => request(
                &mut handle,
                RouteNetlinkMessage::NewTrafficFilter(filter),
                NLM_F_CREATE,
            )
            .await
            .map_err(errno)
            .context("add a bpf filter"),
        }
    })
    .with_context(|| format!("attach to {side:?} of {link} in {}", namespace.name()))
}

/// Removes what [`attach`] put on a link, from both sides.
///
/// # Errors
/// When there was nothing, or the kernel refuses.
pub fn detach(namespace: &Namespace, link: &str) -> Result<()> {
    let index = index(namespace, link)?;
    with_netlink(namespace, async |mut handle| {
        let message = RouteNetlinkMessage::DelQueueDiscipline(clsact(index));
        Ok(request(&mut handle, message, 0).await.map_err(errno)?)
    })
    .with_context(|| format!("remove the clsact qdisc of {link} in {}", namespace.name()))
}

fn index(namespace: &Namespace, link: &str) -> Result<i32> {
    Ok(i32::try_from(namespace.link(link)?.index)?)
}

fn clsact(index: i32) -> TcMessage {
    let mut message = TcMessage::with_index(index);
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle {
        major: u16::MAX,
        minor: 0,
    };
    message
        .attributes
        .push(TcAttribute::Kind("clsact".to_owned()));
    message
}

fn errno(code: i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(-code)
}

/// Sends one request, and gives the kernel's negative error number if it refuses.
async fn request(handle: &mut Handle, message: RouteNetlinkMessage, flags: u16) -> Result<(), i32> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut answers = handle.request(message).map_err(|_| -libc::EPIPE)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload {
            // An acknowledgement is an error without a code.
            return error.code.map_or(Ok(()), |code| Err(code.get()));
        }
    }
    Ok(())
}
