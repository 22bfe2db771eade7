//! The control device itself.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context, Result, ensure};
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use tokio::{net::TcpListener, runtime::Builder, task::spawn_blocking};

use super::{Moved, NetworkData, Report, epoch};

/// How the control device is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where helpers post what they hear
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: SocketAddr,

    /// The network data
    #[arg(long, value_name = "FILE")]
    pub network_data: PathBuf,

    /// The switch's command
    #[arg(long, value_name = "PROGRAM")]
    pub switch_agent: PathBuf,

    /// The instance of the switch
    #[arg(long, value_name = "NAME")]
    pub instance: String,
}

struct ControlDevice {
    data: NetworkData,
    switch_agent: PathBuf,
    instance: String,
}

/// What a helper posts, as far as it is needed.
#[derive(Deserialize)]
struct Announcement {
    /// The helper's number.
    gateway: u32,
    address: Ipv4Addr,
}

/// Works until standard input ends, which it does when whoever started it is gone.
///
/// # Errors
/// When the network data cannot be read, the switch refuses them, or nobody can be listened to.
pub fn run(args: Args) -> Result<()> {
    thread::spawn(|| {
        let end = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(i32::from(end.is_err()));
    });
    let path = args.network_data;
    let data = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let device = ControlDevice {
        data: serde_json::from_slice(&data).with_context(|| format!("read {}", path.display()))?,
        switch_agent: args.switch_agent,
        instance: args.instance,
    };
    for (address, site) in &device.data.vms {
        // Static: the switch is to learn nothing by itself.
        device.order(&["bind", &address.to_string(), "--site", site, "--static"])?;
    }
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .context("start a runtime")?;
    runtime.block_on(serve(device, args.listen))
}

async fn serve(device: ControlDevice, address: SocketAddr) -> Result<()> {
    let router = Router::new()
        .route("/", post(announced))
        .with_state(Arc::new(device));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))?;
    say(&Report::Ready)?;
    axum::serve(listener, router).await.context("serve HTTP")
}

/// A VM has announced itself to a helper.
async fn announced(
    State(device): State<Arc<ControlDevice>>,
    Json(heard): Json<Announcement>,
) -> (StatusCode, String) {
    let at = epoch();
    let NetworkData { helpers, vms } = &device.data;
    let Some(site) = helpers.get(&heard.gateway).cloned() else {
        let text = format!("no site is known for helper {}", heard.gateway);
        return (StatusCode::NOT_FOUND, text);
    };
    let address = heard.address;
    if !vms.contains_key(&address) {
        return (
            StatusCode::NOT_FOUND,
            format!("no VM is known at {address}"),
        );
    }
    let ordered = spawn_blocking(move || {
        device.order(&["move", &address.to_string(), "--site", &site])?;
        let (heard, done) = (at, epoch());
        say(&Report::Moved(Moved {
            address,
            heard,
            done,
        }))
    });
    match ordered.await {
        Ok(Ok(())) => (StatusCode::NO_CONTENT, String::new()),
        Ok(Err(error)) => (StatusCode::BAD_GATEWAY, format!("{error:#}")),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

impl ControlDevice {
    /// Has the switch carry out a command.
    fn order(&self, command: &[&str]) -> Result<()> {
        let output = Command::new(&self.switch_agent)
            .args(["--instance", &self.instance])
            .args(command)
            .output()
            .with_context(|| format!("start {}", self.switch_agent.display()))?;
        ensure!(
            output.status.success(),
            "the switch refuses {command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}

/// Says a line at once.
fn say(report: &Report) -> Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush())?;
    Ok(())
}
