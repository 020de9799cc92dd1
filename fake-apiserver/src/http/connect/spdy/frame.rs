//! Frames of SPDY/3.1.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest frame that is read.
const MAX_LENGTH: usize = 1 << 20;
const FIN: u8 = 1;

/// A frame that a client sends.
pub(super) enum Frame {
    Open {
        id: u32,
        block: Bytes,
    },
    Headers {
        block: Bytes,
    },
    Data {
        id: u32,
        bytes: Bytes,
        fin: bool,
    },
    Reset {
        id: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    /// Settings, window updates: of no consequence.
    Other,
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Reads the next frame; none at the end of the stream.
pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> std::io::Result<Option<Frame>> {
    let mut head = [0; 8];
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let length = usize::from(head[5]) << 16 | usize::from(head[6]) << 8 | usize::from(head[7]);
    if length > MAX_LENGTH {
        return Err(std::io::Error::other("a SPDY frame is longer than 1 MiB"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = Bytes::from(body);
    let first = number(&head) & 0x7fff_ffff;
    let fin = head[4] & FIN != 0;
    if head[0] & 0x80 == 0 {
        return Ok(Some(Frame::Data { id: first, bytes: body, fin }));
    }
    let id = number(&body) & 0x7fff_ffff;
    let after = |at: usize| if body.len() >= at { body.slice(at..) } else { Bytes::new() };
    Ok(Some(match first & 0xffff {
        1 => Frame::Open { id, block: after(10) },
        3 => Frame::Reset { id },
        6 => Frame::Ping { id: number(&body) },
        7 => Frame::GoAway,
        8 => Frame::Headers { block: after(4) },
        _ => Frame::Other,
    }))
}

fn control(kind: u8, flags: u8, body: &[&[u8]]) -> Vec<u8> {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let mut frame = vec![0x80, 3, 0, kind, flags];
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(0).to_be_bytes()[1..]);
    body.iter().for_each(|part| frame.extend_from_slice(part));
    frame
}

/// SYN_REPLY with a block of headers.
pub(super) fn reply(id: u32, block: &[u8]) -> Vec<u8> {
    control(2, 0, &[&id.to_be_bytes(), block])
}

/// The answer to a ping.
pub(super) fn ping(id: u32) -> Vec<u8> {
    control(6, 0, &[&id.to_be_bytes()])
}

/// Data of a stream; `fin` ends our half of it.
pub(super) fn data(id: u32, bytes: &[u8], fin: bool) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() + 8);
    frame.extend_from_slice(&(id & 0x7fff_ffff).to_be_bytes());
    frame.push(if fin { FIN } else { 0 });
    frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes()[1..]);
    frame.extend_from_slice(bytes);
    frame
}
