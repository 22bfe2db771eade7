//! Real traffic that must not notice anything.

use std::{sync::MutexGuard, time::Duration};

use anyhow::{Result, ensure};
use lab::{
    Endpoint, Host,
    traffic::{Download, UdpReceiver, UdpSender},
};

use crate::{LATER, SOON};

/// One packet a millisecond each way.
const EVERY: Duration = Duration::from_millis(1);

/// A numbered stream.
type Stream = (UdpSender, UdpReceiver);

/// A TCP download from the VM, and a numbered UDP stream each way.
pub struct Load {
    pub download: Download,
    pub down: Stream,
    pub up: Stream,
}

impl Load {
    pub fn start(client: &Host, vm: &Host) -> Result<Self> {
        let stream = |from: Endpoint, to: Endpoint| -> Result<_> {
            let receiver = UdpReceiver::start(&to)?;
            Ok((UdpSender::start(&from, to.addr, EVERY, 200)?, receiver))
        };
        let rate = Some(5_000_000);
        let load = Self {
            download: Download::start(&vm.v4(80), &client.v4(0), u64::MAX, rate)?,
            down: stream(vm.v4(6000), client.v4(5000))?,
            up: stream(client.v4(6000), vm.v4(5000))?,
        };
        load.goes_on()?;
        Ok(load)
    }

    /// Waits until more of everything has arrived.
    pub fn goes_on(&self) -> Result<()> {
        for (sender, receiver) in [&self.down, &self.up] {
            receiver.wait_for(sender.sent() + 50, SOON)?;
        }
        self.download
            .wait_for(self.download.progress() + 100_000, LATER)
    }

    /// Stops, and wants everything perfect.
    pub fn finish(self) -> Result<()> {
        for (what, (sender, receiver)) in [("VM to client", self.down), ("client to VM", self.up)] {
            let report = receiver.finish(sender.stop()?, SOON)?;
            ensure!(report.is_perfect(), "{what}: {report}");
        }
        self.download.stop()?;
        Ok(())
    }
}

/// Pauses a stream when nothing of it is on its way.
pub fn pause((sender, receiver): &Stream) -> Result<MutexGuard<'_, ()>> {
    let paused = sender.pause();
    receiver.wait_for(sender.sent(), SOON)?;
    Ok(paused)
}
