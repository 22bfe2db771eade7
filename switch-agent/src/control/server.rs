//! The agent's end of the control socket.

use std::{io, pin::pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{broadcast::error::RecvError, watch},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use super::{Backend, ControlSocket};
use crate::{
    api::{Envelope, Request, Response},
    types::InstanceName,
};

/// The longest request line; the longest real one has a few hundred bytes.
const LONGEST_REQUEST: u64 = 64 * 1024;
/// How long a connection may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long answers under way may take when the switch ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Answers requests until `shutdown` is done, then removes the socket.
pub async fn serve(
    socket: ControlSocket,
    backend: Arc<dyn Backend>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = Connection::new(stream, &backend, stopped.clone());
                    connections.spawn(connection.answer(socket.instance.clone()));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a control connection: {error}; trying again");
                    // Out of descriptors, most likely: the next try would fail at once.
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(socket);
    stop.send_replace(true);
    let ended = timeout(FAREWELL, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if ended.await.is_err() {
        tracing::debug!("control connections cut off: {}", connections.len());
    }
    Ok(())
}

fn report(ended: Result<io::Result<()>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a control connection broke: {error}"),
        Err(error) => tracing::error!("a control request could not be answered: {error}"),
    }
}

struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: BufWriter<OwnedWriteHalf>,
    backend: Arc<dyn Backend>,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    fn new(stream: UnixStream, backend: &Arc<dyn Backend>, stopped: watch::Receiver<bool>) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer: BufWriter::new(writer),
            backend: Arc::clone(backend),
            stopped,
        }
    }

    async fn answer(mut self, instance: InstanceName) -> io::Result<()> {
        let Some(line) = self.request_line().await? else {
            return Ok(());
        };
        let last = match line.and_then(|line| read_request(&line, &instance)) {
            Ok(request) => self.carry_out(request).await?,
            Err(message) => Err(message),
        };
        self.send(&match last {
            Ok(()) => Response::Done,
            Err(message) => Response::Error { message },
        })
        .await?;
        self.writer.flush().await
    }

    /// The request's line; none where the other end closed without a word.
    async fn request_line(&mut self) -> io::Result<Option<Result<Vec<u8>, String>>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(LONGEST_REQUEST);
        let Ok(read) = timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await else {
            return Ok(Some(Err(format!(
                "no request within {} s; the connection is closed",
                PATIENCE.as_secs()
            ))));
        };
        Ok(match read? {
            0 => None,
            _ if line.ends_with(b"\n") => Some(Ok(line)),
            _ if line.len() as u64 == LONGEST_REQUEST => Some(Err(format!(
                "the request is longer than {LONGEST_REQUEST} bytes"
            ))),
            _ => Some(Err(
                "the request has no end; it is one line of JSON".to_owned()
            )),
        })
    }

    /// Does what was asked. The outer error is the connection's, the inner one
    /// the answer.
    async fn carry_out(&mut self, request: Request) -> io::Result<Result<(), String>> {
        let backend = Arc::clone(&self.backend);
        Ok(match request {
            Request::Flows => match backend.flows().await {
                Ok(flows) => {
                    for flow in flows {
                        self.send(&Response::Flow {
                            flow: Box::new(flow),
                        })
                        .await?;
                    }
                    Ok(())
                }
                Err(message) => Err(message),
            },
            Request::Stats => match backend.stats().await {
                Ok(stats) => {
                    self.send(&Response::Stats { stats }).await?;
                    Ok(())
                }
                Err(message) => Err(message),
            },
            Request::Explain { address } => match backend.explain(address).await {
                Ok(explanation) => {
                    let explanation = Box::new(explanation);
                    self.send(&Response::Explanation { explanation }).await?;
                    Ok(())
                }
                Err(message) => Err(message),
            },
            Request::Order { order } => backend.order(order).await,
            Request::Events { follow: false } => {
                for event in backend.journal().recent() {
                    self.send(&Response::Event { event }).await?;
                }
                Ok(())
            }
            Request::Events { follow: true } => {
                self.follow(&*backend).await?;
                Ok(())
            }
        })
    }

    /// Events until the other end or the switch goes.
    async fn follow(&mut self, backend: &dyn Backend) -> io::Result<()> {
        let (recent, mut live) = backend.journal().watch();
        for event in recent {
            self.send(&Response::Event { event }).await?;
        }
        let mut ignored = [0; 64];
        loop {
            self.writer.flush().await?;
            let response = tokio::select! {
                _ = self.stopped.wait_for(|stopped| *stopped) => return Ok(()),
                read = self.reader.read(&mut ignored) => match read? {
                    0 => return Ok(()),
                    _ => continue,
                },
                event = live.recv() => match event {
                    Ok(event) => Response::Event { event },
                    Err(RecvError::Lagged(events)) => Response::Missed { events },
                    Err(RecvError::Closed) => return Ok(()),
                },
            };
            self.send(&response).await?;
        }
    }

    async fn send(&mut self, response: &Response) -> io::Result<()> {
        let mut line = serde_json::to_vec(response)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }
}

fn read_request(line: &[u8], instance: &InstanceName) -> Result<Request, String> {
    let envelope: Envelope =
        serde_json::from_slice(line).map_err(|error| format!("the request is wrong: {error}"))?;
    if envelope.instance != *instance {
        return Err(format!(
            "this is the socket of instance {instance}, and the request is for instance {}",
            envelope.instance
        ));
    }
    Ok(envelope.request)
}
