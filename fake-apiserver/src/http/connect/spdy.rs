//! SPDY/3.1, as far as kubectl's streams go: streams that the client opens, data, their ends, pings.

mod frame;
mod headers;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::frame::Frame;
use self::headers::{Deflate, Inflate};
use super::session::{self, Input, Output};
use crate::registry::connect::{Connect, Purpose};

/// Streams that one connection may open.
const MAX_STREAMS: usize = 1024;
/// What is on its way between two ends.
const BUFFER: usize = 64 << 10;

/// Serves a connection until either side ends it.
pub(super) async fn serve<S>(connect: Connect, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut read, mut write) = tokio::io::split(stream);
    let (frames, mut outgoing) = mpsc::channel::<Vec<u8>>(64);
    let writer = tokio::spawn(async move {
        while let Some(frame) = outgoing.recv().await {
            if write.write_all(&frame).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    });
    let forward = matches!(connect.purpose, Purpose::PortForward);
    let mut connection = Connection {
        connect: Arc::new(connect),
        frames,
        deflate: Deflate::new(),
        inflate: Inflate::new(),
        streams: HashMap::new(),
        opened: 0,
        tasks: JoinSet::new(),
        session: None,
        companions: HashMap::new(),
    };
    loop {
        tokio::select! {
            frame = frame::read(&mut read) => {
                let Ok(Some(frame)) = frame else { break };
                if !connection.take(frame, forward).await {
                    break;
                }
            }
            // The session is over: so is the connection.
            Some(_) = connection.tasks.join_next(), if !forward => break,
        }
    }
    connection.tasks.abort_all();
    drop(connection);
    let _ = writer.await;
}

/// A stream that the client has opened.
enum Stream {
    /// The session's standard input.
    Stdin(mpsc::Sender<Input>),
    /// Into a forwarded port.
    Port(WriteHalf<DuplexStream>),
    /// Only we write.
    Mute,
}

/// The streams of a session, by what they are for.
#[derive(Default)]
struct Roles {
    error: Option<u32>,
    stdin: Option<u32>,
    stdout: Option<u32>,
    stderr: Option<u32>,
}

struct Connection {
    connect: Arc<Connect>,
    frames: mpsc::Sender<Vec<u8>>,
    deflate: Deflate,
    inflate: Inflate,
    streams: HashMap<u32, Stream>,
    opened: usize,
    tasks: JoinSet<()>,
    session: Option<Roles>,
    /// Error streams of port-forward that wait for their data streams, by request.
    companions: HashMap<String, u32>,
}

impl Connection {
    async fn send(&self, frame: Vec<u8>) -> bool {
        self.frames.send(frame).await.is_ok()
    }

    /// Takes a frame; false ends the connection.
    async fn take(&mut self, frame: Frame, forward: bool) -> bool {
        match frame {
            Frame::Open { id, block } => {
                self.opened += 1;
                let Some(headers) = self.inflate.read(&block).filter(|_| self.opened <= MAX_STREAMS) else {
                    return false;
                };
                let Some(reply) = self.deflate.empty() else { return false };
                if !self.send(frame::reply(id, &reply)).await {
                    return false;
                }
                if forward { self.port(id, &headers).await } else { self.role(id, &headers) }
            }
            Frame::Data { id, bytes, fin } => {
                self.data(id, bytes, fin).await;
                true
            }
            Frame::Reset { id } => {
                self.streams.remove(&id);
                true
            }
            Frame::Ping { id } => self.send(frame::ping(id)).await,
            Frame::Headers { block } => self.inflate.read(&block).is_some(),
            Frame::GoAway => false,
            Frame::Other => true,
        }
    }

    async fn data(&mut self, id: u32, bytes: Bytes, fin: bool) {
        match self.streams.get_mut(&id) {
            Some(Stream::Stdin(sender)) => {
                if !bytes.is_empty() {
                    let _ = sender.send(Input::Stdin(bytes)).await;
                }
                if fin {
                    let _ = sender.send(Input::End).await;
                }
            }
            Some(Stream::Port(write)) => {
                let _ = write.write_all(&bytes).await;
                if fin {
                    let _ = write.shutdown().await;
                }
            }
            Some(Stream::Mute) | None => {}
        }
        if fin {
            self.streams.remove(&id);
        }
    }

    /// A stream of exec or attach; when all are there, it begins.
    fn role(&mut self, id: u32, headers: &HashMap<String, String>) -> bool {
        let Some(mut roles) = self.session.take().or_else(|| (self.opened == 1).then(Roles::default)) else {
            // It has begun: whatever comes now is of no use (a second resize stream).
            self.streams.insert(id, Stream::Mute);
            return true;
        };
        match headers.get("streamtype").map(String::as_str) {
            Some("error") => roles.error = Some(id),
            Some("stdin") => roles.stdin = Some(id),
            Some("stdout") => roles.stdout = Some(id),
            Some("stderr") => roles.stderr = Some(id),
            _ => {}
        }
        self.streams.insert(id, Stream::Mute);
        let connect = &self.connect;
        let there = roles.error.is_some()
            && (roles.stdin.is_some() || !connect.stdin)
            && (roles.stdout.is_some() || !connect.stdout)
            && (roles.stderr.is_some() || !connect.stderr || connect.tty);
        if !there {
            self.session = Some(roles);
            return true;
        }
        let (to_session, input) = mpsc::channel(16);
        let (output, from_session) = mpsc::channel(16);
        if let Some(stdin) = roles.stdin {
            self.streams.insert(stdin, Stream::Stdin(to_session));
        }
        let frames = self.frames.clone();
        let connect = self.connect.clone();
        self.tasks.spawn(async move {
            tokio::join!(session::run(&connect, input, output), show(from_session, frames, roles));
        });
        true
    }

    /// A stream of port-forward: the data streams are served, errors go to their companions.
    async fn port(&mut self, id: u32, headers: &HashMap<String, String>) -> bool {
        let get = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
        if get("streamtype") == "error" {
            // The companion of the data stream that comes next, by its request.
            let request = get("requestid").to_owned();
            self.companions.insert(request, id);
            self.streams.insert(id, Stream::Mute);
            return true;
        }
        let Ok(port) = get("port").parse::<u16>() else { return false };
        let companion = self.companions.remove(get("requestid"));
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (mut read, write) = tokio::io::split(ours);
        self.streams.insert(id, Stream::Port(write));
        let (frames, connect) = (self.frames.clone(), self.connect.clone());
        self.tasks.spawn(async move {
            let outwards = async {
                let mut piece = vec![0; 32 << 10];
                while let Ok(length @ 1..) = read.read(&mut piece).await {
                    if frames.send(frame::data(id, &piece[..length], false)).await.is_err() {
                        return;
                    }
                }
            };
            let (served, ()) = tokio::join!(super::forward::serve(&connect, port, theirs), outwards);
            if let (Err(why), Some(companion)) = (&served, companion) {
                let _ = frames.send(frame::data(companion, why.as_bytes(), true)).await;
            } else if let Some(companion) = companion {
                let _ = frames.send(frame::data(companion, b"", true)).await;
            }
            let _ = frames.send(frame::data(id, b"", true)).await;
        });
        // What has ended is forgotten.
        while self.tasks.try_join_next().is_some() {}
        true
    }
}

/// Sends what a session prints to its streams, and ends them.
async fn show(mut from_session: mpsc::Receiver<Output>, frames: mpsc::Sender<Vec<u8>>, roles: Roles) {
    while let Some(output) = from_session.recv().await {
        let (stream, bytes) = match output {
            Output::Stdout(bytes) => (roles.stdout, bytes),
            Output::Stderr(bytes) => (roles.stderr, bytes),
            Output::Status(status) => (roles.error, status.to_string().into_bytes()),
        };
        if let Some(stream) = stream
            && frames.send(frame::data(stream, &bytes, false)).await.is_err()
        {
            return;
        }
    }
    for stream in [roles.stdout, roles.stderr, roles.error].into_iter().flatten() {
        let _ = frames.send(frame::data(stream, b"", true)).await;
    }
}
