//! What the guest sends and answers. The lab's receivers know how it looks: `traffic` there.

use std::{
    io::{self, Write},
    mem,
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{Args, spawn};

/// The UDP packets' payload: a number, big-endian, and zeroes.
const PACKET: usize = 200;
/// The TCP stream repeats a pattern of so many bytes, a prime number.
const PERIOD: usize = 65_521;
/// So much of it is written at a time.
const CHUNK: usize = 4096;
/// How long the network may take until the first connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts what the arguments ask for.
pub fn start(args: &Args) -> Result<()> {
    if let Some(port) = args.echo {
        let socket = bind((args.ipv4, port).into())?;
        spawn("echo", move || echo(&socket))?;
    }
    if let Some(port) = args.discard {
        // As long as the guest.
        mem::forget(bind((args.ipv4, port).into())?);
    }
    if let Some(to) = args.tcp {
        let stream = connect(to)?;
        let pace = Duration::from_secs_f64(CHUNK as f64 / args.rate.max(1) as f64);
        spawn("tcp", move || send_stream(stream, pace))?;
    }
    if let Some(to) = args.udp {
        let socket = bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        socket
            .connect(to)
            .with_context(|| format!("connect UDP to {to}"))?;
        let interval = Duration::from_micros(args.interval);
        spawn("udp", move || send_numbers(&socket, interval))?;
    }
    Ok(())
}

fn bind(at: SocketAddr) -> Result<UdpSocket> {
    UdpSocket::bind(at).with_context(|| format!("bind UDP {at}"))
}

/// The other side may not be there yet, nor the way to it.
fn connect(to: SocketAddr) -> Result<TcpStream> {
    let started = Instant::now();
    loop {
        match TcpStream::connect_timeout(&to, Duration::from_secs(1)) {
            Ok(stream) => return Ok(stream),
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("connect to TCP {to}"));
            }
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn send_stream(mut stream: TcpStream, pace: Duration) -> Result<()> {
    let pattern: Vec<u8> = (0..PERIOD + CHUNK)
        .map(|at| at % PERIOD)
        .map(|at| (at ^ at >> 8) as u8)
        .collect();
    let mut at = 0;
    let mut due = Instant::now();
    loop {
        stream
            .write_all(&pattern[at..at + CHUNK])
            .context("send the stream")?;
        at = (at + CHUNK) % PERIOD;
        wait(&mut due, pace);
    }
}

fn send_numbers(socket: &UdpSocket, interval: Duration) -> Result<()> {
    let mut packet = [0; PACKET];
    let mut due = Instant::now();
    for number in 0_u64.. {
        let bytes = number.to_be_bytes();
        packet[..bytes.len()].copy_from_slice(&bytes);
        match socket.send(&packet) {
            // Nobody listens yet, or no longer: that is told of an earlier packet.
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                return Err(error).context("send a numbered packet");
            }
            _ => {}
        }
        wait(&mut due, interval);
    }
    Ok(())
}

/// Keeps a pace; what was missed is not caught up with.
fn wait(due: &mut Instant, interval: Duration) {
    let now = Instant::now();
    *due = (*due + interval).max(now);
    thread::sleep(*due - now);
}

fn echo(socket: &UdpSocket) -> Result<()> {
    let mut buffer = [0; 1 << 16];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).context("receive")?;
        let to = SocketAddr::new(from.ip(), from.port().wrapping_add(1));
        match socket.send_to(&buffer[..length], to) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                return Err(error).with_context(|| format!("answer {to}"));
            }
            _ => {}
        }
    }
}
