//! Writing a log as a stream.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::{FORMAT_VERSION, Record};

/// How a log is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Plain JSON lines.
    #[default]
    None,
    /// gzip, level 6.
    Gzip,
    /// zstd at this level: 3 is quick, 19 is small.
    Zstd(i32),
}

impl Compression {
    /// By the name's ending: `.gz`, `.zst`, anything else is plain.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd(3),
            _ => Self::None,
        }
    }

    /// A piece of a log that can be read on its own, and behind any other such piece.
    pub(super) fn frame(self, lines: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(lines.to_vec()),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(lines)?;
                encoder.finish()
            }
            Self::Zstd(level) => {
                let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
                encoder.include_checksum(true)?;
                encoder.write_all(lines)?;
                encoder.finish()
            }
        }
    }
}

/// Appends a record as one line in the current format.
pub(super) fn encode(record: &Record, into: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *into, &Line { format_version: FORMAT_VERSION, record })?;
    into.push(b'\n');
    Ok(())
}

/// Writes records, each as one line in the current format. Call [`Writer::finish`] at the end: dropping it leaves a
/// compressed log without its last block.
pub struct Writer<W: Write> {
    sink: Sink<W>,
    line: Vec<u8>,
}

enum Sink<W: Write> {
    Plain(BufWriter<W>),
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl Writer<File> {
    /// Creates (or truncates) a file, compressed as its name says.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::new(File::create(path)?, Compression::of(path))
    }
}

impl<W: Write> Writer<W> {
    /// Writes into anything.
    ///
    /// # Errors
    /// The zstd level does not exist.
    pub fn new(sink: W, compression: Compression) -> io::Result<Self> {
        let sink = match compression {
            Compression::None => Sink::Plain(BufWriter::new(sink)),
            Compression::Gzip => Sink::Gzip(flate2::write::GzEncoder::new(sink, flate2::Compression::default())),
            Compression::Zstd(level) => Sink::Zstd(zstd::Encoder::new(sink, level)?),
        };
        Ok(Self { sink, line: Vec::new() })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// The sink refuses it.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        self.line.clear();
        encode(record, &mut self.line)?;
        match &mut self.sink {
            Sink::Plain(sink) => sink.write_all(&self.line),
            Sink::Gzip(sink) => sink.write_all(&self.line),
            Sink::Zstd(sink) => sink.write_all(&self.line),
        }
    }

    /// Hands everything written so far to the sink, so that a reader of the file finds whole lines.
    ///
    /// # Errors
    /// The sink refuses it.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(sink) => sink.flush(),
            Sink::Gzip(sink) => sink.flush(),
            Sink::Zstd(sink) => sink.flush(),
        }
    }

    /// Ends the log and gives the sink back.
    ///
    /// # Errors
    /// The sink refuses the rest.
    pub fn finish(self) -> io::Result<W> {
        match self.sink {
            Sink::Plain(sink) => sink.into_inner().map_err(io::IntoInnerError::into_error),
            Sink::Gzip(sink) => sink.finish(),
            Sink::Zstd(sink) => sink.finish(),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    format_version: u32,
    #[serde(flatten)]
    record: &'a Record,
}
