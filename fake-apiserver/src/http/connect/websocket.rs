//! Streams as channels of WebSocket messages: the first byte of each says which.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::session::{self, Input, Output};
use crate::registry::connect::Connect;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// Version 5: the channel in the next byte ends.
const CLOSE: u8 = 255;

/// The largest message that is read.
const MAX_MESSAGE: usize = 1 << 20;
/// What is on its way between two ends.
const BUFFER: usize = 64 << 10;

async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut framed = Vec::with_capacity(bytes.len() + 1);
    framed.push(channel);
    framed.extend_from_slice(bytes);
    Message::Binary(framed.into())
}

/// Serves exec and attach.
pub(super) async fn session<S>(connect: Connect, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sink, mut source) = accept(stream).await.split();
    let (to_session, input) = mpsc::channel(16);
    let (output, mut from_session) = mpsc::channel(16);
    // An empty message says that the connection stands.
    let first = match (connect.stdout, connect.stderr) {
        (true, _) => STDOUT,
        (false, true) => STDERR,
        _ => ERROR,
    };
    if sink.send(message(first, b"")).await.is_err() {
        return;
    }
    let running = tokio::spawn(async move { session::run(&connect, input, output).await });
    let mut to_session = Some(to_session);
    loop {
        tokio::select! {
            output = from_session.recv() => {
                let sent = match &output {
                    Some(Output::Stdout(bytes)) => sink.send(message(STDOUT, bytes)).await,
                    Some(Output::Stderr(bytes)) => sink.send(message(STDERR, bytes)).await,
                    Some(Output::Status(status)) => sink.send(message(ERROR, status.to_string().as_bytes())).await,
                    None => break,
                };
                if sent.is_err() {
                    break;
                }
            }
            received = source.next() => match received {
                Some(Ok(Message::Binary(bytes))) => take(&bytes, &mut to_session).await,
                Some(Ok(Message::Text(text))) => take(text.as_bytes(), &mut to_session).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    running.abort();
    let done = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let _ = sink.send(Message::Close(Some(done))).await;
    let _ = sink.close().await;
}

async fn take(message: &[u8], to_session: &mut Option<mpsc::Sender<Input>>) {
    match message {
        [STDIN, bytes @ ..] if !bytes.is_empty() => {
            if let Some(sender) = to_session {
                let _ = sender.send(Input::Stdin(Bytes::copy_from_slice(bytes))).await;
            }
        }
        [CLOSE, STDIN] => {
            if let Some(sender) = to_session.take() {
                let _ = sender.send(Input::End).await;
            }
        }
        // Resizes of a terminal that nobody draws on.
        _ => {}
    }
}

type Sink<S> = Arc<Mutex<SplitSink<WebSocketStream<S>, Message>>>;

/// Serves port-forward: two channels a port, data and errors, both beginning with the port's number.
pub(super) async fn forward<S>(connect: Connect, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sink, mut source) = accept(stream).await.split();
    let sink: Sink<S> = Arc::new(Mutex::new(sink));
    let connect = Arc::new(connect);
    let mut ports = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for (index, port) in connect.ports.iter().copied().enumerate().take(100) {
        let channel = u8::try_from(index * 2).unwrap_or(0);
        for channel in [channel, channel + 1] {
            if sink.lock().await.send(message(channel, &port.to_le_bytes())).await.is_err() {
                return;
            }
        }
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (read, write) = tokio::io::split(ours);
        ports.push(Some(write));
        let (sink, connect) = (sink.clone(), connect.clone());
        tasks.spawn(async move {
            let out = copy_out(sink.clone(), channel, read);
            let (served, ()) = tokio::join!(super::forward::serve(&connect, port, theirs), out);
            if let Err(why) = served {
                let _ = sink.lock().await.send(message(channel + 1, why.as_bytes())).await;
            }
        });
    }
    loop {
        let received = tokio::select! {
            received = source.next() => received,
            // Once the last port's connection has ended there is nothing to forward any more.
            _ = tasks.join_next() => {
                if tasks.is_empty() {
                    break;
                }
                continue;
            }
        };
        let Some(Ok(received)) = received else { break };
        let bytes = match &received {
            Message::Binary(bytes) => bytes.as_ref(),
            Message::Text(text) => text.as_bytes(),
            Message::Close(_) => break,
            _ => continue,
        };
        let Some((channel, data)) = bytes.split_first() else { continue };
        if let Some(write) =
            ports.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0).and_then(Option::as_mut)
            && write.write_all(data).await.is_err()
        {
            // This port's server has hung up; what it said is still on its way.
            ports[usize::from(channel / 2)] = None;
        }
    }
    tasks.abort_all();
    let done = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let _ = sink.lock().await.send(Message::Close(Some(done))).await;
}

async fn copy_out<S>(sink: Sink<S>, channel: u8, mut read: tokio::io::ReadHalf<DuplexStream>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut piece = vec![0; 32 << 10];
    while let Ok(length @ 1..) = read.read(&mut piece).await {
        if sink.lock().await.send(message(channel, &piece[..length])).await.is_err() {
            return;
        }
    }
}

/// The bytes within binary messages as a stream of their own.
pub(super) fn tunnel<S>(stream: S) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (inside, outside) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        let (mut sink, mut source) = accept(stream).await.split();
        let (mut read, mut write) = tokio::io::split(outside);
        let outwards = async {
            let mut piece = vec![0; 32 << 10];
            while let Ok(length @ 1..) = read.read(&mut piece).await {
                if sink.send(Message::Binary(Bytes::copy_from_slice(&piece[..length]))).await.is_err() {
                    break;
                }
            }
            let _ = sink.close().await;
        };
        let inwards = async {
            while let Some(Ok(received)) = source.next().await {
                match received {
                    Message::Binary(bytes) if write.write_all(&bytes).await.is_err() => break,
                    Message::Close(_) => break,
                    _ => {}
                }
            }
            let _ = write.shutdown().await;
        };
        tokio::join!(outwards, inwards);
    });
    inside
}
