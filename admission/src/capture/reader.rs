//! Reading a log as a stream.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::Record;

/// Longest line that is read, in bytes: an object of etcd's limit, escaped once, several times over.
pub const MAX_LINE: usize = 64 * 1024 * 1024;

/// Reads records one by one; memory is bounded by the longest line, whatever the length of the log.
///
/// A line that cannot be read yields an [`Error`] and reading goes on with the next one; only after [`Error::Io`] and
/// [`Error::Torn`] there is nothing more. Empty lines are passed over.
pub struct Reader {
    input: Box<dyn BufRead + Send>,
    line: u64,
    buffer: Vec<u8>,
    limit: usize,
    ended: bool,
}

/// A line as it stands in the log, not yet read as a record.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its number in the log, from 1.
    pub number: u64,
    /// Its text, without the line break.
    pub text: &'a [u8],
    /// Whether the line break was there: a line without one may be torn.
    pub whole: bool,
}

impl Line<'_> {
    /// The record in it.
    ///
    /// # Errors
    /// [`Error::Bad`], or [`Error::Torn`] if it ends too early and is the last.
    pub fn record(&self) -> Result<Record, Error> {
        let line = self.number;
        Record::parse(self.text).map_err(|(message, early)| {
            if early && !self.whole { Error::Torn { line } } else { Error::Bad { line, message } }
        })
    }
}

/// What is wrong with a line, or with the file from that line on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The line is not a record; it is skipped.
    #[error("line {line}: {message}")]
    Bad {
        /// Line number, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// The line is longer than the reader takes; it is skipped.
    #[error("line {line}: longer than {limit} bytes")]
    TooLong {
        /// Line number, from 1.
        line: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The log ends within this line, as if its writer had been interrupted; what came before was whole.
    #[error("line {line}: torn: the log ends within it")]
    Torn {
        /// Line number, from 1.
        line: u64,
    },
    /// The log cannot be read further: an I/O error, or damaged compression.
    #[error("line {line}: cannot read on: {source}")]
    Io {
        /// The line that was being read, from 1.
        line: u64,
        /// What the operating system or the decompressor said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The line that it is about, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        match self {
            Self::Bad { line, .. } | Self::TooLong { line, .. } | Self::Torn { line } | Self::Io { line, .. } => *line,
        }
    }
}

impl Reader {
    /// Opens a file; its first bytes say whether it is gzip, zstd or plain.
    ///
    /// # Errors
    /// The file cannot be opened or read, or is a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory, not a log"));
        }
        Self::new(file)
    }

    /// Reads from any source, such as standard input; its first bytes say whether it is gzip, zstd or plain.
    ///
    /// # Errors
    /// The first bytes cannot be read.
    pub fn new(source: impl Read + Send + 'static) -> io::Result<Self> {
        let mut source = BufReader::with_capacity(128 * 1024, source);
        let mut magic = [0; 4];
        let mut have = 0;
        while have < magic.len() {
            match source.read(&mut magic[have..]) {
                Ok(0) => break,
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let source = io::Cursor::new(magic[..have].to_vec()).chain(source);
        let input: Box<dyn BufRead + Send> = match &magic[..have] {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(128 * 1024, MultiGzDecoder::new(source))),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                Box::new(BufReader::with_capacity(128 * 1024, zstd::Decoder::with_buffer(source)?))
            }
            _ => Box::new(source),
        };
        Ok(Self { input, line: 0, buffer: Vec::new(), limit: MAX_LINE, ended: false })
    }

    /// Takes lines of up to this many bytes in place of [`MAX_LINE`].
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Reads up to and including the next line break. `Ok(None)`: end of the log. The flag: the line break was there.
    fn fill(&mut self) -> io::Result<Option<(bool, bool)>> {
        self.buffer.clear();
        match self.read_line() {
            Ok(0) => {
                self.ended = true;
                return Ok(None);
            }
            Ok(_) => {}
            // A compressed log whose writer was interrupted ends like this.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.ended = true;
                return Ok(Some((false, false)));
            }
            Err(error) => return Err(error),
        }
        if self.buffer.pop_if(|last| *last == b'\n').is_some() {
            return Ok(Some((true, false)));
        }
        if self.buffer.len() <= self.limit {
            self.ended = true;
            return Ok(Some((false, false)));
        }
        self.buffer = Vec::new();
        match self.input.skip_until(b'\n') {
            Ok(_) => Ok(Some((true, true))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.ended = true;
                Ok(Some((false, true)))
            }
            Err(error) => Err(error),
        }
    }
}

impl Reader {
    /// Reads to the next line break into the buffer, the end, or one byte more than a line may have, which tells one that is
    /// too long. As `BufRead::read_until`, with a search that looks at many bytes at a time.
    fn read_line(&mut self) -> io::Result<usize> {
        loop {
            let there = match self.input.fill_buf() {
                Ok(there) => there,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let there = there.get(..self.limit.saturating_add(1) - self.buffer.len()).unwrap_or(there);
            let end = memchr::memchr(b'\n', there);
            let count = end.map_or(there.len(), |end| end + 1);
            self.buffer.extend_from_slice(there.get(..count).unwrap_or_default());
            self.input.consume(count);
            if end.is_some() || count == 0 {
                return Ok(self.buffer.len());
            }
        }
    }

    /// The next line that holds anything, for whoever reads the records elsewhere, or only counts them. It is gone with the
    /// next call.
    ///
    /// Errors are those of the iterator but [`Error::Bad`], which only reading the record can tell.
    pub fn next_line(&mut self) -> Option<Result<Line<'_>, Error>> {
        while !self.ended {
            self.line += 1;
            let line = self.line;
            let (whole, too_long) = match self.fill() {
                Ok(Some(state)) => state,
                Ok(None) => return None,
                Err(source) => {
                    self.ended = true;
                    return Some(Err(Error::Io { line, source }));
                }
            };
            if too_long {
                return Some(Err(Error::TooLong { line, limit: self.limit }));
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                // Nothing but a damaged end: no line began, yet something is missing.
                if !whole && self.buffer.is_empty() {
                    return Some(Err(Error::Torn { line }));
                }
                continue;
            }
            return Some(Ok(Line { number: line, text: &self.buffer, whole }));
        }
        None
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().map(|line| line.and_then(|line| line.record()))
    }
}
